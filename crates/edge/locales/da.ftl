### Hvert ord på kittets side, på dansk. De samme nøgler, i samme rækkefølge, som en.ftl. Korte sætninger til et træt menneske.

## Hele siden
title = Dine målinger
gone = Skærmen har mistet kittet af syne. Vent lidt. Bliver det ved, så sluk kittet, og tænd det igen.
not-sent = Det lykkedes ikke. Vent lidt, og tryk igen.
steps = Dagens trin
step = Trin { $n }, { $what }: { $state }
step-done = færdig
step-skipped = sprunget over
step-now = nu
step-left = kommer senere
step-oximeter = ilt og puls
step-cuff = blodtryk
step-thermometer = temperatur
step-scale = vægt
step-spirometer = lungerne
step-glucometer = blodsukker
step-questions = spørgsmål

## Det, der er værd at vide
note-offline = Ingen forbindelse til klinikken lige nu. Dine målinger er gemt og bliver sendt.
note-clock = Kittets ur går forkert. Klinikken kan se det. Du kan godt måle.
note-disk = Kittet kan ikke gemme lige nu. Det, du måler, bliver sendt, så længe der er forbindelse.
note-gap = Nogle ældre målinger kunne ikke gemmes og nåede ikke frem. Klinikken får det at vide.
note-bluetooth = Kittet kan ikke høre apparaterne lige nu. Sluk kittet, og tænd det igen, hvis det bliver ved.

## Ring mig op
call = Ring mig op
call-asked-button = Bedt om opkald
call-asked = Din besked om at blive ringet op er på vej til klinikken.
call-sent = Klinikken fik din besked { $when }. De ringer til dig.
call-seen = Klinikken så din besked { $when }. De ringer til dig.
call-seen-by = { $by } så din besked { $when } og ringer til dig.
call-held-up = Din besked er gemt, men er ikke nået frem til klinikken endnu.
call-phone = Ring selv til klinikken på { $phone }.
call-emergency = Er det akut, så ring 112.

## I dag
rest = Der er ikke noget, du skal lige nu.
next-time = Næste gang er { $when }.
measure-anyway = Vil du alligevel måle, så tag bare et apparat. Målingen bliver sendt.
finished = Tak. Du er færdig for nu
finished-person = Tak, { $person }. Du er færdig for nu
finished-more = Klinikken får dine målinger.
skipped = Du sprang dette over. Vil du tage det nu?

## Mål nu
measure-oximeter = Mål din ilt og puls
measure-oximeter-how = Sæt klemmen på fingeren. Sid stille, og læg hånden i skødet.
measure-cuff = Mål dit blodtryk
measure-cuff-how = Sid stille i fem minutter. Sæt manchetten på overarmen, læg armen på bordet, og tryk start.
measure-thermometer = Mål din temperatur
measure-thermometer-how = Tænd termometeret, og vent, til det bipper.
measure-scale = Vej dig
measure-scale-how = Træd op på vægten uden sko. Stå stille, til tallet står fast.
measure-spirometer = Pust i lungemåleren
measure-spirometer-how = Træk vejret helt ind. Pust så hårdt og så længe, du kan.
measure-glucometer = Mål dit blodsukker
measure-glucometer-how = Vask hænderne. Prik i fingeren, og sæt dråben på strimlen.
measure-other = Mål { $what }
measure-other-how = Brug apparatet, som du plejer.
by-itself = Kittet mærker selv, når du måler. Du skal ikke trykke på noget her.
asked = Klinikken beder dig måle.
asked-by = { $by } fra klinikken beder dig måle.

## Måler
measuring = måler …
measuring-oximeter = Sid stille, og hold hånden i ro
measuring-cuff = Sid stille, og lad være med at tale
measuring-thermometer = Hold termometeret på plads
measuring-scale = Stå stille
measuring-spirometer = Pust, pust, pust
measuring-glucometer = Vent på tallet
measuring-other = Sid stille
measuring-more = Det varer kun et øjeblik.

## Når målingen er usikker
attempt = Målingen blev usikker. Den bliver sendt, og vi prøver igen. Forsøg { $n } af 3.
advice-put-finger-in = Sæt fingeren helt ind i klemmen
advice-put-finger-in-more = Fingerspidsen skal røre bunden, og neglen skal vende op.
advice-warm-finger = Varm fingeren lidt, og hold hånden stille
advice-warm-finger-more = Signalet er svagt. Gnid hænderne, læg hånden i skødet, og sæt klemmen på igen.
advice-keep-still = Hold hånden helt stille
advice-keep-still-more = Læg hånden i skødet, og lad være med at bevæge fingrene. Så prøver vi igen.
advice-sit-still = Sid helt stille
advice-sit-still-more = Begge fødder på gulvet, og lad være med at tale. Så prøver vi igen.
advice-tighten-cuff = Stram manchetten lidt
advice-tighten-cuff-more = Den må ikke sidde løst. Mål så igen.
advice-support-arm = Læg armen på bordet
advice-support-arm-more = Manchetten skal sidde ud for hjertet. Mål så igen.
advice-rest-and-repeat = Hvil dig lidt, og mål igen
advice-rest-and-repeat-more = Sid stille et par minutter med begge fødder på gulvet. Mål så igen.
advice-blow-again = Pust en gang til
advice-blow-again-more = Træk vejret helt ind. Pust så hårdt og så længe, du kan, uden at hoste.
advice-step-off-and-on = Træd ned af vægten, og op igen
advice-step-off-and-on-more = Stå helt stille, til tallet står fast.
advice-belt-on-skin = Bæltet har ikke kontakt
advice-belt-on-skin-more = Fugt bæltets elektroder, og stram det, så det ligger til huden. Mål så igen.
advice-new-strip = Tag en ny strimmel
advice-new-strip-more = Sæt en ny strimmel helt ind, og giv den bloddråbe nok. Lad den sidde, til tallet er der.
advice-meter-at-room-temperature = Apparatet er for varmt eller for koldt
advice-meter-at-room-temperature-more = Lad det ligge et stykke tid ved stuetemperatur. Mål så igen.
advice-wait-for-device = Vent et øjeblik
advice-wait-for-device-more = Apparatet er ikke helt klar. Mål igen om lidt.
advice-device-fault = Apparatet melder fejl
advice-device-fault-more = Prøv en gang til. Bliver det ved, så tryk på Ring mig op.
advice-measure-again = Mål en gang til
advice-measure-again-more = Tallet ser mærkeligt ud. Mål igen, så vi er sikre.

## Det er målt
result = Tak, det er målt
result-kept = Målingen er gemt og bliver sendt til klinikken.
result-sent = Klinikken har fået målingen.
result-green = Det er, som det skal være.
result-yellow = Lidt uden for det, der er aftalt for dig. Klinikken kan se det.
result-red = Klinikken har fået besked. Har du det dårligt, så tryk på Ring mig op.
result-poor = Målingen er usikker. Det kan klinikken også se.
colour-green = Grøn
colour-yellow = Gul
colour-red = Rød
fate-kept = Gemt på kittet. Bliver sendt til klinikken.
fate-sent = Sendt til klinikken { $when }
seen = set { $when }
seen-by = set af { $by } { $when }

## Knapper
next = Videre
back = Tilbage
skip = Spring over
later = Senere
leave = Jeg er færdig
yes = Ja
no = Nej
read = Jeg har læst den
mine = Ja, det var mig
not-mine = Nej, det var en anden

## Spørgsmål
question-number = spørgsmål { $n }
number-range = Et tal fra { $min } til { $max }
your-words = Skriv med dine egne ord
refused-not-a-number = Det er ikke et tal. Prøv igen.
refused-decimals = Der er for mange tal efter kommaet.
refused-too-long = Det er for langt. Skriv det lidt kortere.
refused-empty = Der står ikke noget endnu.
refused-option = Vælg et af svarene.
refused-code = Koden kendes ikke. Prøv igen.
answered = Tak for dine svar
answered-green = Klinikken får dine svar.
answered-yellow = Klinikken får dine svar og kan se, at noget er anderledes. Vil du tale med nogen, så tryk på Ring mig op.
answered-red = Klinikken får dine svar. Har du det dårligt nu, så tryk på Ring mig op.

## Besked
message = Besked fra klinikken
message-by = Besked fra { $by }

## Er det dig?
hold = Er det dig, der lige har målt?
hold-scale = Er det dig, der lige har vejet dig?
hold-other-user = Apparatet mener, at det var en anden.
hold-other-weight = Tallet er langt fra, hvad du plejer at veje.
hold-nobody = Der blev målt, før nogen var valgt.
hold-other-turn = Målingen begyndte, før det var din tur.

## Hvem er du?
choose = Hvem er du?
choose-more = Hold dit kort hen til læseren, eller skriv din kode.
code = Din kode
unclaimed = { $n ->
    [one] Der er en måling, som ingen har sagt ja til. Er den din, så skriv din kode.
   *[other] Der er { $n } målinger, som ingen har sagt ja til. Er de dine, så skriv din kode.
}

## Målinger og enheder
vital-spo2 = Ilt
vital-pulse = Puls
vital-resp_rate = Vejrtrækning
vital-temperature = Temperatur
vital-systolic = Blodtryk, øvre
vital-diastolic = Blodtryk, nedre
vital-mean_pressure = Blodtryk, middel
vital-weight = Vægt
vital-fev1 = Luft i første sekund
vital-fvc = Luft i alt
vital-fev6 = Luft i seks sekunder
vital-pef = Største pust
vital-fev1_fvc = Første sekund af det hele
vital-perfusion_index = Signalets styrke
vital-oxygen_flow = Ilt fra apparatet
vital-glucose = Blodsukker
unit-percent = procent
unit-per-minute = slag i minuttet
unit-breaths = vejrtrækninger i minuttet
unit-celsius = grader
unit-fahrenheit = grader Fahrenheit
unit-mmhg = mm kviksølv
unit-kilopascal = kilopascal
unit-kilogram = kilo
unit-pound = pund
unit-gram = gram
unit-litre = liter
unit-millilitre = milliliter
unit-litre-per-minute = liter i minuttet
unit-litre-per-second = liter i sekundet
unit-millimole = millimol per liter
unit-milligram = milligram per deciliter

## Tider
today = { $day } { $part }
hello-morning = Godmorgen
hello-forenoon = God formiddag
hello-afternoon = God eftermiddag
hello-evening = God aften
hello-night = Hej
part-morning = morgen
part-forenoon = formiddag
part-afternoon = eftermiddag
part-evening = aften
part-night = nat
when-today = kl. { $time }
when-tomorrow = i morgen kl. { $time }
when-yesterday = i går kl. { $time }
when-day = { $day } kl. { $time }
when-date = { $day }. { $month } kl. { $time }
day-1 = mandag
day-2 = tirsdag
day-3 = onsdag
day-4 = torsdag
day-5 = fredag
day-6 = lørdag
day-7 = søndag
month-1 = januar
month-2 = februar
month-3 = marts
month-4 = april
month-5 = maj
month-6 = juni
month-7 = juli
month-8 = august
month-9 = september
month-10 = oktober
month-11 = november
month-12 = december
