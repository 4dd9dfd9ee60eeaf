### Hvert ord på siderne, på dansk. De samme nøgler, i samme rækkefølge, som en.ftl.

## Sidens hoved
app = Vagt
nav-main = Sider
nav-queue = Kø
nav-patients = Patienter
nav-kits = Kit
nav-programmes = Programmer
nav-quarantine = Karantæne
skip = Spring til indholdet
sign-out = Log ud
keys = taster
search = søg
simulated-banner = Simuleret: disse personer findes ikke
people = { $n ->
    [one] 1 person
   *[other] { $n } personer
}
count-red = { $n } { $n ->
    [one] rød
   *[other] røde
}
count-yellow = { $n } { $n ->
    [one] gul
   *[other] gule
}
count-blue = { $n } mangler
kits-none = ingen kit
kits-all = alle kit forbundet
kits-no-one = intet kit forbundet
kits-all-but = alle kit forbundet undtagen { $n }
banner-core = Ikke live: kernen har ikke taget målinger ind siden { $since } ({ $reason })
banner-noscript = Siden er ikke live: browseren kører ikke dens scripts. Indlæs den igen for at se nyt.

## Siges af scripts
js-now = nu
js-min = %n min
js-h = %n t
js-d = %n d
js-live = Live
js-not-live = Ikke live siden %time
js-core = Ikke live: kernen har ikke taget målinger ind siden %time (%reason)
js-above = %n ny ovenfor
js-above-red = %n ny ovenfor, rød
js-raised = Rød: %name, %what
js-gone = håndteret
js-red = rød
js-changed = Alarmen er lige ændret. Det, du gør nu, afgøres ud fra det, du ser herunder.
js-unsent = Ikke gjort: klinikkens server kunne ikke nås. Prøv igen, når siden er live.

## Farver
mark-red = Rød
mark-yellow = Gul
mark-blue = Mangler
mark-green = Grøn
mark-none = Ikke vurderet

## Tider
when-today = i dag { $time }
when-yesterday = i går { $time }
date = { $day }. { $month }
length-min = { $n } min
length-h = { $n } t
length-d = { $n } d
day-1 = man
day-2 = tir
day-3 = ons
day-4 = tor
day-5 = fre
day-6 = lør
day-7 = søn
month-1 = jan
month-2 = feb
month-3 = mar
month-4 = apr
month-5 = maj
month-6 = jun
month-7 = jul
month-8 = aug
month-9 = sep
month-10 = okt
month-11 = nov
month-12 = dec

## Målinger
vital-spo2 = SpO₂
vital-pulse = Puls
vital-resp_rate = Respirationsfrekvens
vital-temperature = Temperatur
vital-systolic = Systolisk tryk
vital-diastolic = Diastolisk tryk
vital-mean_pressure = Middeltryk
vital-weight = Vægt
vital-fev1 = FEV₁
vital-fvc = FVC
vital-fev6 = FEV₆
vital-pef = PEF
vital-fev1_fvc = FEV₁/FVC
vital-perfusion_index = Perfusionsindeks
vital-oxygen_flow = Iltflow
vital-glucose = Glukose

## Hvorfor
limit-at-most = { $mark } ved { $value } eller derunder
limit-below = { $mark } under { $value }
limit-from = { $mark } ved { $value } eller derover
limit-above = { $mark } over { $value }
limit-none = inden for grænserne
limit-own = egen grænse
limit-clinic = klinikkens grænse
missing-expected = ventet { $when }
missing-since = Ingen måling siden { $when }
missing-again = Ikke målt i tide, sidst målt { $when }
missing-ever = Ingen måling endnu
missing-answers = Spørgsmålene er ikke besvaret
missing-row = nr. { $n } i træk
late-measured = målt { $when }, kom senere
silent-person = kittet er forbundet: personen er tavs
silent-kit = kittet har ikke været forbundet siden { $when }
silent-shared = måler med et kit, som flere deles om, sidst hørt { $when }
silent-never = kittet har aldrig været forbundet
silent-revoked = kittet er spærret
why-rule = { $programme }, version { $version }, regel { $rule }
why-reading = { $what }, målt { $when } med { $device }
why-answer = svaret { $when }
why-asked = bedt om { $when }
why-late = Det var sandt dengang og er ikke nyt nu.
why-provisional = Målingen er tvivlsom; der er bedt om en ny.
why-withdrawn = Trukket tilbage: en måling, som dette byggede på, er erklæret ugyldig.
why-fired = { $n } af patientens alarmer i de sidste 30 dage
why-own-before = Egen grænse, som er sat om siden
why-clinic = Grænse for hele klinikken, version { $version }
why-moved = Egen grænse: { $own }. Programmet: { $programme }. Uden den egne grænse ville det være { $without }.
why-moved-none = har ingen
why-moved-clinic = Egen grænse: { $own }. Klinikken: { $clinic }. Uden den egne grænse ville det være { $without }.
why-floor = Grænsen ligger uden for klinikkens sikkerhedsgrænse.
why-compared = Sammenlignet med { $what } { $value }, { $from } til { $until }
why-share = { $share }: gennemsnit { $mean }
why-compared-of = { $n } værdier
own-set = sat af { $author }: { $reason }
own-until = til { $when }
compared-baseline = det, der er normalt for patienten,
compared-best = personligt bedste
compared-reference = den værdi, der er sat,
compared-mean = gennemsnittet
compared-median = medianen
compared-minimum = det laveste
compared-first = den første
would-limits = Ville være { $limits }
would-answers = Grøn ved svaret { $answers }
would-path = { $mark }, { $ways }
would-path-if = hvis { $way }
would-path-answer = svaret på “{ $question }” var { $answers }
would-fewer = Mildere ved færre end { $n }
would-data = Slutter, når der er målt: { $vitals }
would-data-answers = Slutter, når dette er kommet: { $what }
would-person = Slutter, når nogen lukker den
and = og
or = eller
trend-baseline = { $value } fra det normale
trend-personal_best = { $value } af personligt bedste
trend-difference = ændret { $value }
trend-ewma = vægtet gennemsnit { $value }
trend-cusum = løbende sum { $value }
trend-control = { $value } fra gennemsnittet
trend-slope = hældning { $value }
trend-count = talt { $value }
trend-variability = udsving { $value }
unit-z = { $value } spredninger
unit-percent-year = { $value } % om året
unit-litre-year = { $value } L om året
unit-kilo-year = { $value } kg om året
unit-times = { $value } gange
unit-points = { $value } point
sum-habit = { $value } anderledes end det normale
share-answers = Svar
together-all = { $found } af { $of } opfyldt: { $mark }
together-any = { $found } af { $of } opfyldt: { $mark }
together-k_of_n = { $found } af { $of } gange: { $mark }
together-count = { $found } gange: { $mark }
together-path = svarene tilsammen: { $mark }
together-flag = { $found } af { $of } målinger: { $mark }
together-wrong_person = måske en andens måling: { $mark }
together-score = { $found } point: { $mark }
together-more = { $n } mere
together-missing = { $n } mangler
spark-label = { $vital }, de sidste 14 dage: { $low } til { $high }

## Mærker på et kort
tag-late = forsinket
tag-provisional = bedt om ny måling
tag-invalid = ugyldig
tag-overdue = skal ses på igen
tag-floor = uden for en sikkerhedsgrænse
tag-simulated = simuleret
tag-now = nu { $mark }
owner = { $by } har den, siden { $time }

## Det, der var særligt ved en måling
flag-suspect = tvivlsom værdi
flag-suspect_step = tvivlsomt spring
flag-person_confirmed = personen har bekræftet, at den er deres
flag-person_unconfirmed = måske en andens måling
flag-clock_not_set = apparatets ur ikke stillet
flag-clock_implausible = apparatets ur går forkert
flag-time_fault = fejl i apparatets ur
flag-time_unknown = tidspunktet kendes ikke
flag-from_storage = gemt af apparatet
flag-simulated = simuleret
flag-test_data = testdata
flag-demonstration_data = demonstrationsdata
flag-control_solution = kontrolopløsning, ikke blod
flag-measurement_ongoing = målingen var i gang
flag-early_estimate = tidligt skøn
flag-intermediate = foreløbig værdi
flag-validated_data = valideret af apparatet
flag-fully_qualified_data = fuldt godkendt af apparatet
flag-measurement_unavailable = målingen var ikke tilgængelig
flag-questionable_measurement = tvivlsom måling
flag-invalid_measurement = ugyldig måling
flag-calibration_ongoing = apparatet kalibrerede
flag-extended_display_ongoing = apparatets udvidede visning var i gang
flag-unsettled = faldt ikke til ro
flag-unstable = stod ikke stille
flag-removed = taget af vægten
flag-low_perfusion = svagt signal
flag-marginal_perfusion = temmelig svagt signal
flag-poor_signal = dårligt signal
flag-inadequate_signal = utilstrækkeligt signal
flag-nonpulsatile_signal = intet pulserende signal
flag-erratic_signal = uroligt signal
flag-signal_analysis_ongoing = signalet blev stadig analyseret
flag-signal_processing_irregularity = uregelmæssighed i signalbehandlingen
flag-questionable_pulse = tvivlsom puls
flag-marginal_pulse_quality = nogenlunde pulskvalitet
flag-minimal_pulse_quality = ringe pulskvalitet
flag-unacceptable_pulse_quality = uacceptabel pulskvalitet
flag-artifact = forstyrret af bevægelse
flag-out_of_track = apparatet mistede pulsen
flag-sensor_interference = forstyrrelse af føleren
flag-sensor_unconnected_to_user = føleren sad ikke på personen
flag-sensor_displaced = føleren sad skævt
flag-sensor_disconnected = føleren var ikke tilsluttet
flag-sensor_fault = fejl i føleren
flag-sensor_malfunction = fejl i føleren
flag-unknown_sensor_connected = ukendt føler
flag-contact_lost = ingen kontakt til huden
flag-equipment_malfunction = fejl i apparatet
flag-device_fault = fejl i apparatet
flag-device_mark = mærket af apparatet, betydningen kendes ikke
flag-low_battery = lavt batteri
flag-smart_point = god måling efter apparatets egen algoritme
flag-low_spo2_alarm = apparatets alarm for lav iltmætning
flag-irregular_pulse = uregelmæssig puls
flag-pulse_above_range = puls over apparatets område
flag-pulse_below_range = puls under apparatets område
flag-body_movement = bevægelse under målingen
flag-cuff_loose = løs manchet
flag-cuff_pressure = trykket i manchetten undervejs
flag-improper_position = forkert stilling
flag-drug = efter medicin
flag-exercise = efter motion
flag-sample_insufficient = for lidt blod
flag-sample_size_insufficient = for lidt blod
flag-strip_insertion_error = strimlen sad forkert
flag-strip_type_incorrect = forkert slags strimmel
flag-above_device_range = over apparatets område
flag-below_device_range = under apparatets område
flag-result_too_high = over apparatets område
flag-result_too_low = under apparatets område
flag-sensor_too_warm = apparatet var for varmt
flag-sensor_too_cold = apparatet var for koldt
flag-temperature_too_high = apparatet var for varmt
flag-temperature_too_low = apparatet var for koldt
flag-temperature_out_of_range = apparatet var for varmt eller for koldt
flag-read_interrupted = målingen blev afbrudt
flag-site_armpit = i armhulen
flag-site_body = på kroppen
flag-site_ear = i øret
flag-site_earlobe = i øreflippen
flag-site_finger = på fingeren
flag-site_alternate = et andet sted på kroppen
flag-site_gastrointestinal = i mave-tarm-kanalen
flag-site_mouth = i munden
flag-site_rectum = i endetarmen
flag-site_toe = på tåen
flag-site_tympanum = ved trommehinden
flag-specimen_capillary_blood = kapillærblod
flag-specimen_capillary_plasma = kapillærplasma
flag-specimen_venous_blood = veneblod
flag-specimen_venous_plasma = veneplasma
flag-specimen_arterial_blood = arterieblod
flag-specimen_arterial_plasma = arterieplasma
flag-specimen_blood = blod, sted ukendt
flag-specimen_plasma = plasma, sted ukendt
flag-specimen_interstitial_fluid = vævsvæske
flag-carbohydrate_breakfast = morgenmad
flag-carbohydrate_lunch = frokost
flag-carbohydrate_dinner = middag
flag-carbohydrate_snack = mellemmåltid
flag-carbohydrate_drink = drikke
flag-carbohydrate_supper = aftensmad
flag-carbohydrate_brunch = brunch
flag-meal_before = før et måltid
flag-meal_after = efter et måltid
flag-meal_fasting = fastende
flag-meal_casual = uden for måltiderne
flag-meal_bedtime = ved sengetid
flag-tester_self = målt af personen selv
flag-tester_professional = målt af sundhedspersonale
flag-tester_laboratory = prøve fra laboratoriet
flag-health_minor_issues = mindre helbredsproblemer
flag-health_major_issues = større helbredsproblemer
flag-health_menses = under menstruation
flag-health_stress = under stress
flag-health_no_issues = ingen helbredsproblemer
flag-medication_rapid_insulin = hurtigvirkende insulin
flag-medication_short_insulin = korttidsvirkende insulin
flag-medication_middle_insulin = middellangt virkende insulin
flag-medication_long_insulin = langtidsvirkende insulin
flag-medication_premixed_insulin = blandingsinsulin
flag-user_n = bruger { $n } af apparatet
flag-measurement_status_n = målestatus { $n }, betydningen kendes ikke
flag-pef_status_n = status { $n } ved peakflow, betydningen kendes ikke

## Køen
queue-title = Venter på nogen
queue-empty = Ingen venter.
queue-empty-sub = Nye alarmer kommer af sig selv, så længe siden er live.
queue-more = { $n ->
    [one] 1 mere venter under disse.
   *[other] { $n } flere venter under disse.
}
queue-list = Alarmer, værste først
queue-waited = venter
queue-filter = Filtrér på navn
queue-choose = Vælg en alarm til venstre.
queue-none-found = Ingen af det navn venter.
detail-title = Den valgte alarm

## Handlinger
act-acknowledge = Tag den
act-close = Luk…
act-open-patient = Åbn patient
act-cancel = Fortryd
act-close-now = Luk alarmen
close-title = Luk alarmen
close-reason = Årsag
close-note = Notat
close-note-hint = Hvad der er gjort eller aftalt
close-advice = Rådgivning
close-medicine_changed = Medicin ændret
close-acute_nurse_sent = Akutsygeplejerske sendt
close-admitted = Indlagt
close-false_alarm = Falsk alarm
close-technical = Teknisk
close-other = Andet
action-reason = Vælg en årsag, så kan den lukkes.
action-ended = Ikke gjort: alarmen er allerede slut.
action-changed = Ikke gjort: alarmen er ændret, siden du så den. Se igen, og handl så.
action-taken = Ikke gjort: nogen har lige taget den.
action-note = Ikke gjort: notatet er længere end { $n } tegn.
action-unknown = Ikke gjort: alarmen er ikke længere åben.
action-store = Ikke gjort: det kunne ikke gemmes. Prøv igen om lidt.
ended-eased = Det gik over af sig selv { $when }
ended-closed = Lukket af { $by } { $when }, { $reason }
waiting-for = har ventet { $age }

## Forløb
log-title = Hvad der er sket
event-by = { $what } af { $by }
event-raised = Rejst
event-worsened = Blev værre
event-reopened = Noget nyt: den venter igen
event-repeated = Igen
event-improved = Bedre, stadig åben
event-eased = Gik over af sig selv
event-confirmed = Bekræftet ved en ny måling
event-not-confirmed = Ikke bekræftet ved en ny måling
event-withdrawn = Trukket tilbage: målingen er erklæret ugyldig
event-acknowledged = Taget
event-closed = Lukket

## Målinger taget sammen
sittings-title = Seneste målinger
sittings-when = Hvornår
sittings-answers = Svar
sittings-none = Intet målt de sidste 7 dage.

## Patienter
patients-title = Patienter
patients-search = Søg på navn
patients-name = Navn
patients-state = Tilstand
patients-none = Ingen fundet.
patients-waiting = { $n ->
    [one] 1 alarm åben
   *[other] { $n } alarmer åbne
}
patient-since = fulgt siden { $when }
patient-limits = Grænser
patient-as-before = Vurderes stadig som før og ikke efter det, der siden er besluttet: { $why }
patient-not-judged = Vurderes slet ikke: { $why }
patient-own = egen
patient-own-title = Egne indstillinger
patient-own-none = Ingen egne indstillinger.
patient-own-by = fra { $from }, { $author }
patient-own-ended = holder ikke nu
own-references = sammenlignes med { $value }
own-oxygen-home = ilt derhjemme
own-oxygen-none = ingen ilt derhjemme
own-oxygen-target = mål 88 til 92 %
own-baseline-none = ingen sædvanlige værdier at sammenligne med
own-baseline-since = siden { $when }
own-baseline-days = { $found } af { $want } stabile dage
own-rung-red_low = rød nedad ved { $value }
own-rung-yellow_low = gul nedad ved { $value }
own-rung-yellow_high = gul opad ved { $value }
own-rung-red_high = rød opad ved { $value }
pause-holiday = ferie
pause-in_hospital = indlagt
pause-other = anden pause
pause-title = Pause
pause-kind = Hvorfor ventes der intet
pause-until = Til og med
pause-reason = Begrundelse
pause-do = Sæt pause
pause-end = Slut pausen nu
outcome-title = Hvad der skete
outcome-sub = Siger, om alarmerne var rigtige. Indgår i, hvordan programmerne måles.
outcome-note = Notat
outcome-at = Hvornår (i dag, hvis tomt)
outcome-none = Intet noteret endnu.
outcome-exacerbation = Forværring
outcome-decompensation = Dekompensering
outcome-admission = Indlæggelse
outcome-death = Død
outcome-other = Andet
outcome-line = { $what } { $when } · { $by }
whynot-title = Hvorfor ikke?
whynot-link = Hvorfor kom der ingen alarm?
whynot-sub = Alle regler, som de stod { $when }: det nærmeste først.
whynot-at = Tidspunkt
whynot-show = Vis
whynot-rule = Regel
whynot-said = Sagde
whynot-because = Hvad holdt den stille
whynot-near = Til næste grænse
whynot-speaks = den var ikke stille
whynot-closed = alarmen blev lukket { $when }
whynot-held-back = alarmen blev lukket { $when }; reglen giver først en ny, der ikke er værre, { $until }
whynot-not_raised = den var ikke stille, men der kom ingen alarm: indlæst historik giver ingen
whynot-too_old = det nyeste er fra { $when }, det gælder i { $hours } t
whynot-green = målingen er grøn
whynot-no_value = der er ingen måling eller intet svar
whynot-too_little = for lidt at sammenligne med: { $found } af { $want }
whynot-no_reference = der er ikke sat en værdi for patienten
whynot-expired = værdien, der var sat, udløb { $when }
whynot-not_now = en betingelse er ikke opfyldt
whynot-ingredient = bruges kun af andre regler
whynot-held = tvivlsom: venter på en ny måling til { $when }
whynot-fewer = { $found } af { $want }
whynot-paused = pause til { $when }: { $kind }
whynot-not_overdue = intet er forsinket
whynot-next = intet er forsinket; næste frist { $when }
whynot-distance = { $distance } til { $limit }
readings-title = Målinger, 7 dage
readings-link = Alle målinger
readings-sub = En måling, der er erklæret ugyldig, bliver stående, men intet bedømmes efter den.
readings-when = Målt
readings-value = Værdi
readings-device = Apparat
readings-invalidate = Erklær ugyldig
readings-restore = Lad gælde igen
readings-reason = Begrundelse
readings-by = ugyldig: { $reason } ({ $by }, { $when })
readings-older = Ældre
readings-none = Intet målt de sidste 7 dage.
programmes-title = Programmer
programmes-sub = Den ene foreslår, en anden tager i brug. Det gøres med kommandoer eller over HTTP.
programmes-none = Ingen programmer.
programme-version-n = version { $n }
programme-by = foreslået af { $by } { $when }
programme-text = Hvad den siger
programme-diff = Hvad der er anderledes end den, der er i brug
programme-warning = Se på dette, før den tages i brug
programme-same = Ingen linjer er anderledes.
programme-unread = Denne version kan ikke læses af programmet her.
state-proposed = Foreslået
state-planned = Planlagt fra { $when }
state-in_use = I brug siden { $when }
state-before = Brugt før
state-rejected = Afvist
state-shadow = kører i skyggen
patient-curves = Kurver, 28 dage
patient-curves-year = Kurver, et år
patient-show-year = Et år
patient-show-weeks = 28 dage
patient-alerts = Alarmer
patient-alerts-none = Ingen alarmer endnu.
patient-open = Åben
patient-kit = Kit
patient-kit-before = Ikke længere hos patienten
patient-no-data = Intet målt de sidste 28 dage.
programme-version = { $programme }, version { $version }
curve-label = { $vital }, de sidste 28 dage, med grænser
curve-label-year = { $vital }, det seneste år dag for dag, med grænser fra i dag

## Kit
kits-title = Kit
kits-empty = Ingen kit endnu.
kit-id = Kit
kit-patient = Patient
kit-state = Tilstand
kit-devices = Apparater
kit-problems = Problemer
kit-online = Forbundet
kit-offline = Ikke forbundet
kit-revoked = Spærret
kit-heard = hørt fra { $when }
kit-never = aldrig hørt fra
kit-spooled = { $n ->
    [one] 1 besked venter i kittet
   *[other] { $n } beskeder venter i kittet
}
kit-dropped = { $n ->
    [one] 1 besked opgivet
   *[other] { $n } beskeder opgivet
}
kit-version = version
device-present = kontakt
device-absent = ingen kontakt
device-unknown = kittet har ikke nævnt det
device-heard = hørt fra { $when }
kit-shared = deles af
kit-not-enrolled = Ikke tilmeldt endnu
device-battery = batteri { $n } %
device-battery-low = lavt batteri
device-firmware = firmware { $version }
device-ahead = uret er { $by } foran
device-behind = uret er { $by } bagud

## At bede kittet om noget
call-me = Beder om at blive ringet op
ask-vital = Mål igen
ask-why = Hvorfor (vises for borgeren)
ask-remeasure = Bed om en ny måling
ask-text = Besked (vises for borgeren)
ask-message = Send en besked
ask-seen = Fortæl kittet, at jeg har set på det
command-asked = { $what } · { $when } · { $by }
command-remeasure = Ny måling
command-message = Besked
command-schedule = Måleplan
command-diagnostics = Fejlsøgning
command-waiting = venter på kittet
command-taken = modtaget af kittet { $when }
command-done = udført { $when }
command-read = læst { $when }
command-expired = udløbet { $when }
command-failed = mislykket { $when }

## Karantæne
quarantine-title = Karantæne
quarantine-sub = Hvad der kom ind og ikke kunne bruges. Indholdet er gemt.
quarantine-total = { $n ->
    [one] 1 besked
   *[other] { $n } beskeder
}
quarantine-empty = Intet er i karantæne.
quarantine-when = Hvornår
quarantine-seq = Nr.
quarantine-bytes = Byte
quarantine-reason = Årsag

## Log ind
sign-in-title = Log ind
sign-in-user = Brugernavn
sign-in-password = Adgangskode
sign-in-do = Log ind
sign-in-wrong = Brugernavn eller adgangskode er forkert.
sign-in-form = Formularen var for gammel. Prøv igen.
sign-in-limited = For mange forsøg. Vent { $n } sekunder, og prøv igen.

## Taster
keys-title = Taster
keys-move = næste, forrige
keys-acknowledge = tag den
keys-close = luk med en årsag
keys-search = filtrér på navn
keys-help = denne liste
keys-done = Færdig
sound-red = Lyd ved rød

## Fejl
error-title = Det lykkedes ikke
error-not-found = Der er ingen sådan side, patient eller alarm.
error-store = Lageret svarer ikke i øjeblikket. Intet er ændret. Prøv igen om lidt.
error-form = Formularen var for gammel eller kom fra en anden side. Intet er ændret. Gå tilbage, indlæs siden igen, og prøv en gang til.
error-command = Det, kittet blev bedt om, var ikke fuldstændigt. Intet er sendt. Gå tilbage og prøv igen.
error-commands = Der venter allerede for meget på dette kit. Intet mere er sendt.
error-role = Det må du ikke med din rolle. Intet er ændret.
error-conflict = Det kan ikke lade sig gøre, som det står nu. Intet er ændret. Gå tilbage og se igen.
error-unfit = Det, der blev sendt, kan ikke bruges. Intet er ændret. Gå tilbage og prøv igen.
error-large = Det var for stort. Intet er ændret.
error-standby = Denne maskine står klar som reserve: køen er på den, der fører an, nævnt herunder. Siden her tager selv over, når den anden er væk.
error-back = Til køen
