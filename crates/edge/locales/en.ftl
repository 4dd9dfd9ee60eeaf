### Every word on the kit's page, in English. The same keys, in the same order, as da.ftl. Short sentences for somebody who is tired.

## The whole page
title = Your measurements
gone = The screen has lost sight of the kit. Wait a little. If it stays like this, switch the kit off and on again.
not-sent = That did not work. Wait a little and press again.
steps = Today's steps
step = Step { $n }, { $what }: { $state }
step-done = done
step-skipped = skipped
step-now = now
step-left = comes later
step-oximeter = oxygen and pulse
step-cuff = blood pressure
step-thermometer = temperature
step-scale = weight
step-spirometer = lungs
step-glucometer = blood sugar
step-questions = questions

## What is worth knowing
note-offline = No connection to the clinic just now. Your measurements are kept and will be sent.
note-clock = The kit's clock is wrong. The clinic can see that. You can still measure.
note-disk = The kit can't store anything just now. What you measure is sent as long as there is a connection.
note-gap = Some older measurements could not be kept and did not arrive. The clinic is told.
note-bluetooth = The kit can't hear the devices just now. If it stays like this, switch the kit off and on again.

## Call me
call = Call me
call-asked-button = Call asked for
call-asked = Your request to be called is on its way to the clinic.
call-sent = The clinic got your request { $when }. They will call you.
call-seen = The clinic saw your request { $when }. They will call you.
call-seen-by = { $by } saw your request { $when } and will call you.
call-held-up = Your request is kept, but it has not reached the clinic yet.
call-phone = Call the clinic yourself on { $phone }.
call-emergency = In an emergency call 112.

## Today
rest = There is nothing you need to do just now.
next-time = The next time is { $when }.
measure-anyway = If you want to measure anyway, just take a device. It will be sent.
finished = Thank you. You are done for now
finished-person = Thank you, { $person }. You are done for now
finished-more = The clinic gets your measurements.
skipped = You skipped this. Would you like to do it now?

## Measure now
measure-oximeter = Measure your oxygen and pulse
measure-oximeter-how = Put the clip on your finger. Sit still, with your hand in your lap.
measure-cuff = Measure your blood pressure
measure-cuff-how = Sit still for five minutes. Put the cuff on your upper arm, rest the arm on the table, and press start.
measure-thermometer = Take your temperature
measure-thermometer-how = Switch the thermometer on, and wait until it beeps.
measure-scale = Weigh yourself
measure-scale-how = Step on the scale without shoes. Stand still until the number settles.
measure-spirometer = Blow into the lung meter
measure-spirometer-how = Breathe all the way in. Then blow as hard and as long as you can.
measure-glucometer = Measure your blood sugar
measure-glucometer-how = Wash your hands. Prick your finger, and put the drop on the strip.
measure-other = Measure { $what }
measure-other-how = Use the device as you usually do.
by-itself = The kit notices by itself when you measure. You need not press anything here.
asked = The clinic asks you to measure.
asked-by = { $by } at the clinic asks you to measure.

## Measuring
measuring = measuring …
measuring-oximeter = Sit still, and keep your hand at rest
measuring-cuff = Sit still, and do not talk
measuring-thermometer = Keep the thermometer in place
measuring-scale = Stand still
measuring-spirometer = Blow, blow, blow
measuring-glucometer = Wait for the number
measuring-other = Sit still
measuring-more = It only takes a moment.

## When a measurement is doubtful
attempt = The measurement is doubtful. It is sent, and we try again. Attempt { $n } of 3.
advice-put-finger-in = Put your finger all the way into the clip
advice-put-finger-in-more = The fingertip must touch the end, with the nail facing up.
advice-warm-finger = Warm your finger a little, and keep your hand still
advice-warm-finger-more = The signal is weak. Rub your hands, rest your hand in your lap, and put the clip on again.
advice-keep-still = Keep your hand quite still
advice-keep-still-more = Rest your hand in your lap, and do not move your fingers. Then we try again.
advice-sit-still = Sit quite still
advice-sit-still-more = Both feet on the floor, and do not talk. Then we try again.
advice-tighten-cuff = Tighten the cuff a little
advice-tighten-cuff-more = It must not sit loosely. Then measure again.
advice-support-arm = Rest your arm on the table
advice-support-arm-more = The cuff should be level with your heart. Then measure again.
advice-rest-and-repeat = Rest a little, and measure again
advice-rest-and-repeat-more = Sit still for a few minutes with both feet on the floor. Then measure again.
advice-blow-again = Blow once more
advice-blow-again-more = Breathe all the way in. Then blow as hard and as long as you can, without coughing.
advice-step-off-and-on = Step off the scale, and on again
advice-step-off-and-on-more = Stand quite still until the number settles.
advice-belt-on-skin = The belt has no contact
advice-belt-on-skin-more = Moisten the electrodes of the belt, and tighten it so that it touches the skin. Then measure again.
advice-new-strip = Take a new strip
advice-new-strip-more = Push a new strip all the way in, and give it enough blood. Leave it until the number is there.
advice-meter-at-room-temperature = The device is too warm or too cold
advice-meter-at-room-temperature-more = Leave it at room temperature for a while. Then measure again.
advice-wait-for-device = Wait a moment
advice-wait-for-device-more = The device is not quite ready. Measure again in a little while.
advice-device-fault = The device reports a fault
advice-device-fault-more = Try once more. If it stays like this, press Call me.
advice-measure-again = Measure once more
advice-measure-again-more = The number looks odd. Measure again, so that we are sure.

## It is measured
result = Thank you, that is measured
result-kept = The measurement is kept and will be sent to the clinic.
result-sent = The clinic has the measurement.
result-green = It is as it should be.
result-yellow = A little outside what was agreed for you. The clinic can see it.
result-red = The clinic has been told. If you feel unwell, press Call me.
result-poor = The measurement is doubtful. The clinic can see that too.
colour-green = Green
colour-yellow = Yellow
colour-red = Red
fate-kept = Kept on the kit. Will be sent to the clinic.
fate-sent = Sent to the clinic { $when }
seen = seen { $when }
seen-by = seen by { $by } { $when }

## Buttons
next = Go on
back = Back
skip = Skip
later = Later
leave = I am done
yes = Yes
no = No
read = I have read it
mine = Yes, that was me
not-mine = No, that was somebody else

## Questions
question-number = question { $n }
number-range = A number from { $min } to { $max }
your-words = Write in your own words
refused-not-a-number = That is not a number. Try again.
refused-decimals = There are too many digits after the point.
refused-too-long = That is too long. Make it a little shorter.
refused-empty = There is nothing there yet.
refused-option = Choose one of the answers.
refused-code = The code is not known. Try again.
answered = Thank you for your answers
answered-green = The clinic gets your answers.
answered-yellow = The clinic gets your answers and can see that something is different. If you would like to talk to somebody, press Call me.
answered-red = The clinic gets your answers. If you feel unwell now, press Call me.

## Message
message = A message from the clinic
message-by = A message from { $by }

## Is it you?
hold = Is it you who just measured?
hold-scale = Is it you who just stepped on the scale?
hold-other-user = The device thinks that it was somebody else.
hold-other-weight = The number is far from what you usually weigh.
hold-nobody = Something was measured before anybody was chosen.
hold-other-turn = The measurement began before it was your turn.

## Who are you?
choose = Who are you?
choose-more = Hold your card to the reader, or type your code.
code = Your code
unclaimed = { $n ->
    [one] There is a measurement that nobody has claimed. If it is yours, type your code.
   *[other] There are { $n } measurements that nobody has claimed. If they are yours, type your code.
}

## Measurements and units
vital-spo2 = Oxygen
vital-pulse = Pulse
vital-resp_rate = Breathing
vital-temperature = Temperature
vital-systolic = Blood pressure, upper
vital-diastolic = Blood pressure, lower
vital-mean_pressure = Blood pressure, mean
vital-weight = Weight
vital-fev1 = Air in the first second
vital-fvc = Air altogether
vital-fev6 = Air in six seconds
vital-pef = Strongest blow
vital-fev1_fvc = First second of it all
vital-perfusion_index = Strength of the signal
vital-oxygen_flow = Oxygen from the device
vital-glucose = Blood sugar
unit-percent = per cent
unit-per-minute = beats a minute
unit-breaths = breaths a minute
unit-celsius = degrees
unit-fahrenheit = degrees Fahrenheit
unit-mmhg = mm of mercury
unit-kilopascal = kilopascal
unit-kilogram = kilograms
unit-pound = pounds
unit-gram = grams
unit-litre = litres
unit-millilitre = millilitres
unit-litre-per-minute = litres a minute
unit-litre-per-second = litres a second
unit-millimole = millimoles a litre
unit-milligram = milligrams a decilitre

## Times
today = { $day } { $part }
hello-morning = Good morning
hello-forenoon = Good morning
hello-afternoon = Good afternoon
hello-evening = Good evening
hello-night = Hello
part-morning = morning
part-forenoon = morning
part-afternoon = afternoon
part-evening = evening
part-night = night
when-today = at { $time }
when-tomorrow = tomorrow at { $time }
when-yesterday = yesterday at { $time }
when-day = { $day } at { $time }
when-date = { $day } { $month } at { $time }
day-1 = Monday
day-2 = Tuesday
day-3 = Wednesday
day-4 = Thursday
day-5 = Friday
day-6 = Saturday
day-7 = Sunday
month-1 = January
month-2 = February
month-3 = March
month-4 = April
month-5 = May
month-6 = June
month-7 = July
month-8 = August
month-9 = September
month-10 = October
month-11 = November
month-12 = December
