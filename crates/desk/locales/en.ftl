### Every word on the pages, in English. The same keys, in the same order, as da.ftl.

## The head of every page
app = Vagt
nav-main = Pages
nav-queue = Queue
nav-patients = Patients
nav-kits = Kits
nav-programmes = Programmes
nav-quarantine = Quarantine
skip = Skip to the content
sign-out = Sign out
keys = keys
search = search
simulated-banner = Simulated: these people do not exist
people = { $n ->
    [one] 1 person
   *[other] { $n } people
}
count-red = { $n } red
count-yellow = { $n } yellow
count-blue = { $n } missing
kits-none = no kits
kits-all = all kits connected
kits-no-one = no kit connected
kits-all-but = all kits connected but { $n }
banner-core = Not live: the core has not taken in readings since { $since } ({ $reason })
banner-noscript = This page is not live: the browser does not run its scripts. Load it again to see what is new.

## Said by the scripts
js-now = now
js-min = %n min
js-h = %n h
js-d = %n d
js-live = Live
js-not-live = Not live since %time
js-core = Not live: the core has not taken in readings since %time (%reason)
js-above = %n new above
js-above-red = %n new above, red
js-raised = Red: %name, %what
js-gone = handled
js-red = red
js-changed = This alert has just changed. What you do now is decided on what you see below.
js-unsent = Not done: the clinic's server could not be reached. Try again when the page is live.

## Colours
mark-red = Red
mark-yellow = Yellow
mark-blue = Missing
mark-green = Green
mark-none = Not judged

## Times
when-today = today { $time }
when-yesterday = yesterday { $time }
date = { $day } { $month }
length-min = { $n } min
length-h = { $n } h
length-d = { $n } d
day-1 = Mon
day-2 = Tue
day-3 = Wed
day-4 = Thu
day-5 = Fri
day-6 = Sat
day-7 = Sun
month-1 = Jan
month-2 = Feb
month-3 = Mar
month-4 = Apr
month-5 = May
month-6 = Jun
month-7 = Jul
month-8 = Aug
month-9 = Sep
month-10 = Oct
month-11 = Nov
month-12 = Dec

## Vitals
vital-spo2 = SpO₂
vital-pulse = Pulse
vital-resp_rate = Respiratory rate
vital-temperature = Temperature
vital-systolic = Systolic pressure
vital-diastolic = Diastolic pressure
vital-mean_pressure = Mean pressure
vital-weight = Weight
vital-fev1 = FEV₁
vital-fvc = FVC
vital-fev6 = FEV₆
vital-pef = PEF
vital-fev1_fvc = FEV₁/FVC
vital-perfusion_index = Perfusion index
vital-oxygen_flow = Oxygen flow
vital-glucose = Glucose

## Why
limit-at-most = { $mark } at { $value } or less
limit-below = { $mark } below { $value }
limit-from = { $mark } at { $value } or more
limit-above = { $mark } above { $value }
limit-none = within the limits
limit-own = own limit
missing-expected = expected { $when }
missing-since = No measurement since { $when }
missing-ever = No measurement yet
missing-row = number { $n } in a row
late-measured = measured { $when }, arrived later
silent-person = the kit is connected: the person is silent
silent-kit = the kit has not been connected since { $when }
silent-shared = measures with a kit that several people share, last heard { $when }
silent-never = the kit has never connected
why-rule = { $programme }, version { $version }, rule { $rule }
why-reading = { $what }, measured { $when } by { $device }
why-answer = answered { $when }
why-late = This was true then and is not news of now.
why-provisional = The measurement is doubtful, and is to be taken again.
why-fired = { $n } of this patient's alerts in the last 30 days
why-own-before = Own limit, which has been set anew since
why-floor = The limit passes the clinic's safety floor.
why-compared = Compared with { $what } { $value }, { $from } to { $until }
why-share = { $share }: mean { $mean }
why-compared-of = { $n } values
own-set = set by { $author }: { $reason }
own-until = until { $when }
compared-baseline = what is usual for this patient,
compared-best = the personal best
compared-reference = the value that is set,
compared-mean = the mean
compared-median = the median
compared-minimum = the lowest
compared-first = the first
would-limits = Would be { $limits }
would-answers = Green with the answer { $answers }
would-fewer = Milder with fewer than { $n }
would-data = Ends when measured: { $vitals }
would-person = Ends when somebody closes it
and = and
or = or
trend-baseline = { $value } from what is usual
trend-personal_best = { $value } of the personal best
trend-difference = changed by { $value }
trend-ewma = weighted mean { $value }
trend-cusum = running sum { $value }
trend-control = { $value } from the mean
trend-slope = slope { $value }
trend-count = counted { $value }
trend-variability = spread { $value }
unit-z = { $value } spreads
unit-percent-year = { $value } % a year
unit-litre-year = { $value } L a year
unit-kilo-year = { $value } kg a year
unit-times = { $value } times
unit-points = { $value } points
sum-habit = { $value } unlike what is usual
share-answers = Answers
together-all = { $found } of { $of } met: { $mark }
together-any = { $found } of { $of } met: { $mark }
together-k_of_n = { $found } of { $of } times: { $mark }
together-count = { $found } times: { $mark }
together-path = the answers together: { $mark }
together-flag = { $found } of { $of } measurements: { $mark }
together-wrong_person = perhaps somebody else's measurement: { $mark }
together-score = { $found } points: { $mark }
together-more = { $n } more
together-missing = { $n } missing
spark-label = { $vital }, the last 14 days: { $low } to { $high }

## Marks on a card
tag-late = late
tag-provisional = to be measured again
tag-invalid = invalid
tag-overdue = to be looked at again
tag-floor = passes a safety floor
tag-simulated = simulated
tag-now = now { $mark }
owner = { $by } has it, since { $time }

## What was odd about a reading
flag-suspect = doubtful value
flag-suspect_step = doubtful step
flag-person_confirmed = the person has said that it is theirs
flag-person_unconfirmed = perhaps somebody else's measurement
flag-clock_not_set = device clock not set
flag-clock_implausible = device clock wrong
flag-time_fault = fault in the device's clock
flag-time_unknown = time not known
flag-from_storage = stored by the device
flag-simulated = simulated
flag-test_data = test data
flag-demonstration_data = demonstration data
flag-control_solution = control solution, not blood
flag-measurement_ongoing = measurement was going on
flag-early_estimate = early estimate
flag-intermediate = intermediate value
flag-validated_data = validated by the device
flag-fully_qualified_data = fully qualified by the device
flag-measurement_unavailable = measurement was not available
flag-questionable_measurement = questionable measurement
flag-invalid_measurement = invalid measurement
flag-calibration_ongoing = device was calibrating
flag-extended_display_ongoing = the device's extended display was on
flag-unsettled = did not settle
flag-unstable = did not stand still
flag-removed = taken off the scale
flag-low_perfusion = weak signal
flag-marginal_perfusion = rather weak signal
flag-poor_signal = poor signal
flag-inadequate_signal = inadequate signal
flag-nonpulsatile_signal = no pulsating signal
flag-erratic_signal = erratic signal
flag-signal_analysis_ongoing = signal was still being analysed
flag-signal_processing_irregularity = irregularity in the signal processing
flag-questionable_pulse = questionable pulse
flag-marginal_pulse_quality = marginal pulse quality
flag-minimal_pulse_quality = minimal pulse quality
flag-unacceptable_pulse_quality = unacceptable pulse quality
flag-artifact = disturbed by movement
flag-out_of_track = device lost the pulse
flag-sensor_interference = interference with the sensor
flag-sensor_unconnected_to_user = sensor was not on the person
flag-sensor_displaced = sensor was displaced
flag-sensor_disconnected = sensor was disconnected
flag-sensor_fault = sensor fault
flag-sensor_malfunction = sensor malfunction
flag-unknown_sensor_connected = unknown sensor
flag-contact_lost = no contact with the skin
flag-equipment_malfunction = device malfunction
flag-device_fault = device fault
flag-device_mark = marked by the device, meaning not known
flag-low_battery = low battery
flag-smart_point = good measurement by the device's own algorithm
flag-low_spo2_alarm = the device's alarm for low saturation
flag-irregular_pulse = irregular pulse
flag-pulse_above_range = pulse above the device's range
flag-pulse_below_range = pulse below the device's range
flag-body_movement = movement during the measurement
flag-cuff_loose = loose cuff
flag-cuff_pressure = pressure in the cuff meanwhile
flag-improper_position = improper position
flag-drug = after medication
flag-exercise = after exercise
flag-sample_insufficient = not enough blood
flag-sample_size_insufficient = not enough blood
flag-strip_insertion_error = strip was inserted wrongly
flag-strip_type_incorrect = wrong kind of strip
flag-above_device_range = above the device's range
flag-below_device_range = below the device's range
flag-result_too_high = above the device's range
flag-result_too_low = below the device's range
flag-sensor_too_warm = device was too warm
flag-sensor_too_cold = device was too cold
flag-temperature_too_high = device was too warm
flag-temperature_too_low = device was too cold
flag-temperature_out_of_range = device was too warm or too cold
flag-read_interrupted = measurement was interrupted
flag-site_armpit = in the armpit
flag-site_body = on the body
flag-site_ear = in the ear
flag-site_earlobe = from the earlobe
flag-site_finger = on the finger
flag-site_alternate = at another site
flag-site_gastrointestinal = in the gastrointestinal tract
flag-site_mouth = in the mouth
flag-site_rectum = in the rectum
flag-site_toe = on the toe
flag-site_tympanum = at the eardrum
flag-specimen_capillary_blood = capillary whole blood
flag-specimen_capillary_plasma = capillary plasma
flag-specimen_venous_blood = venous whole blood
flag-specimen_venous_plasma = venous plasma
flag-specimen_arterial_blood = arterial whole blood
flag-specimen_arterial_plasma = arterial plasma
flag-specimen_blood = whole blood, site not known
flag-specimen_plasma = plasma, site not known
flag-specimen_interstitial_fluid = interstitial fluid
flag-carbohydrate_breakfast = breakfast
flag-carbohydrate_lunch = lunch
flag-carbohydrate_dinner = dinner
flag-carbohydrate_snack = snack
flag-carbohydrate_drink = drink
flag-carbohydrate_supper = supper
flag-carbohydrate_brunch = brunch
flag-meal_before = before a meal
flag-meal_after = after a meal
flag-meal_fasting = fasting
flag-meal_casual = between meals
flag-meal_bedtime = at bedtime
flag-tester_self = measured by the person
flag-tester_professional = measured by a professional
flag-tester_laboratory = laboratory test
flag-health_minor_issues = minor health issues
flag-health_major_issues = major health issues
flag-health_menses = during menses
flag-health_stress = under stress
flag-health_no_issues = no health issues
flag-medication_rapid_insulin = rapid-acting insulin
flag-medication_short_insulin = short-acting insulin
flag-medication_middle_insulin = intermediate-acting insulin
flag-medication_long_insulin = long-acting insulin
flag-medication_premixed_insulin = premixed insulin
flag-user_n = user { $n } of the device
flag-measurement_status_n = measurement status { $n }, meaning not known
flag-pef_status_n = peak flow status { $n }, meaning not known

## The queue
queue-title = Waiting for someone
queue-empty = Nobody is waiting.
queue-empty-sub = New alerts come in by themselves as long as the page is live.
queue-more = { $n ->
    [one] 1 more is waiting below these.
   *[other] { $n } more are waiting below these.
}
queue-list = Alerts, worst first
queue-waited = waiting
queue-filter = Filter by name
queue-choose = Choose an alert on the left.
queue-none-found = Nobody of that name is waiting.
detail-title = The chosen alert

## Actions
act-acknowledge = Acknowledge
act-close = Close…
act-open-patient = Open patient
act-cancel = Cancel
act-close-now = Close the alert
close-title = Close the alert
close-reason = Reason
close-note = Note
close-note-hint = What was done or agreed
close-advice = Advice given
close-medicine_changed = Medicine changed
close-acute_nurse_sent = Acute nurse sent
close-admitted = Admitted
close-false_alarm = False alarm
close-technical = Technical
close-other = Other
action-reason = Choose a reason, then it can be closed.
action-ended = Not done: the alert has already ended.
action-changed = Not done: the alert has changed since you looked. Look again, then act.
action-taken = Not done: somebody has just taken it.
action-note = Not done: the note is longer than { $n } characters.
action-unknown = Not done: this alert is no longer open.
action-store = Not done: it could not be stored. Try again in a moment.
ended-eased = It passed by itself { $when }
ended-closed = Closed by { $by } { $when }, { $reason }
waiting-for = waiting for { $age }

## History
log-title = What has happened
event-by = { $what } by { $by }
event-raised = Raised
event-worsened = Became worse
event-repeated = Again
event-improved = Better, still open
event-eased = Passed by itself
event-confirmed = Confirmed by another measurement
event-not-confirmed = Not confirmed by another measurement
event-withdrawn = Withdrawn: the reading was declared invalid
event-acknowledged = Acknowledged
event-closed = Closed

## Sittings
sittings-title = Last sittings
sittings-when = When
sittings-answers = Answers
sittings-none = Nothing measured in the last 7 days.

## Patients
patients-title = Patients
patients-search = Search by name
patients-name = Name
patients-state = State
patients-none = Nobody found.
patients-waiting = { $n ->
    [one] 1 alert open
   *[other] { $n } alerts open
}
patient-since = watched since { $when }
patient-limits = Limits
patient-as-before = Still judged as before, and not by what was decided since: { $why }
patient-not-judged = Not judged at all: { $why }
patient-own = own
patient-own-title = Own settings
patient-own-none = No own settings.
patient-own-by = from { $from }, { $author }
patient-own-ended = does not hold now
own-references = compared with { $value }
own-oxygen-home = oxygen at home
own-oxygen-none = no oxygen at home
own-oxygen-target = target 88 to 92 %
own-rung-red_low = red downwards at { $value }
own-rung-yellow_low = yellow downwards at { $value }
own-rung-yellow_high = yellow upwards at { $value }
own-rung-red_high = red upwards at { $value }
pause-holiday = holiday
pause-in_hospital = in hospital
pause-other = another pause
pause-title = Pause
pause-kind = Why nothing is expected
pause-until = Up to and including
pause-reason = Reason
pause-do = Set a pause
pause-end = End the pause now
outcome-title = What happened
outcome-sub = Says whether the alerts were right. The programmes are measured by it.
outcome-note = Note
outcome-at = When (today, if empty)
outcome-none = Nothing recorded yet.
outcome-exacerbation = Exacerbation
outcome-decompensation = Decompensation
outcome-admission = Admission
outcome-death = Death
outcome-other = Something else
outcome-line = { $what } { $when } · { $by }
whynot-title = Why not?
whynot-link = Why was there no alert?
whynot-sub = Every rule as it stood { $when }: the nearest first.
whynot-at = Time
whynot-show = Show
whynot-rule = Rule
whynot-said = Said
whynot-because = What kept it quiet
whynot-near = To the next limit
whynot-speaks = it was not quiet
whynot-green = what was measured is green
whynot-no_value = there is no measurement or answer
whynot-too_little = too little to compare with: { $found } of { $want }
whynot-no_reference = no value is set for this patient
whynot-expired = the value that was set ended { $when }
whynot-not_now = a condition is not met
whynot-ingredient = for other rules alone
whynot-held = doubtful: waits for another measurement until { $when }
whynot-fewer = { $found } of { $want }
whynot-paused = paused until { $when }: { $kind }
whynot-not_overdue = nothing is overdue
whynot-next = nothing is overdue; the next deadline is { $when }
whynot-distance = { $distance } to { $limit }
readings-title = Measurements, 7 days
readings-link = Every measurement
readings-sub = A measurement that is declared invalid stays, and nothing is judged by it.
readings-when = Measured
readings-value = Value
readings-device = Device
readings-invalidate = Declare invalid
readings-restore = Let it count again
readings-reason = Reason
readings-by = invalid: { $reason } ({ $by }, { $when })
readings-older = Older
readings-none = Nothing measured in the last 7 days.
programmes-title = Programmes
programmes-sub = One person proposes, another takes into use. It is done by command or over HTTP.
programmes-none = No programmes.
programme-version-n = version { $n }
programme-by = proposed by { $by } { $when }
programme-text = What it says
programme-diff = What differs from the one in use
programme-same = No line differs.
programme-unread = This version can't be read by the program here.
state-proposed = Proposed
state-planned = Planned from { $when }
state-in_use = In use since { $when }
state-before = Used before
state-rejected = Rejected
state-shadow = runs in the shadow
patient-curves = Curves, 28 days
patient-curves-year = Curves, a year
patient-show-year = A year
patient-show-weeks = 28 days
patient-alerts = Alerts
patient-alerts-none = No alerts yet.
patient-open = Open
patient-kit = Kit
patient-no-data = Nothing measured in the last 28 days.
programme-version = { $programme }, version { $version }
curve-label = { $vital }, the last 28 days, with limits
curve-label-year = { $vital }, the last year by day, with limits of today

## Kits
kits-title = Kits
kits-empty = No kits yet.
kit-id = Kit
kit-patient = Patient
kit-state = State
kit-devices = Devices
kit-problems = Problems
kit-online = Connected
kit-offline = Not connected
kit-revoked = Revoked
kit-heard = heard { $when }
kit-never = never heard
kit-spooled = { $n ->
    [one] 1 message waits in the kit
   *[other] { $n } messages wait in the kit
}
kit-dropped = { $n ->
    [one] 1 message given up
   *[other] { $n } messages given up
}
kit-version = version
device-present = reached
device-absent = not reached
device-unknown = not told of
device-heard = heard { $when }
kit-shared = shared by
kit-not-enrolled = Not enrolled yet
device-battery = battery { $n } %
device-battery-low = low battery
device-firmware = firmware { $version }
device-ahead = clock { $by } ahead
device-behind = clock { $by } behind

## Asking the kit
call-me = Asks to be called
ask-vital = Measure again
ask-why = Why (the person sees it)
ask-remeasure = Ask for a new measurement
ask-text = Message (the person sees it)
ask-message = Send a message
ask-seen = Tell the kit that I have looked
command-asked = { $what } · { $when } · { $by }
command-remeasure = New measurement
command-message = Message
command-schedule = Schedule
command-diagnostics = Diagnostics
command-waiting = waits for the kit
command-taken = the kit has had it since { $when }
command-done = done { $when }
command-read = read { $when }
command-expired = expired { $when }
command-failed = failed { $when }

## Quarantine
quarantine-title = Quarantine
quarantine-sub = What came in and could not be used. Its bytes are kept.
quarantine-total = { $n ->
    [one] 1 payload
   *[other] { $n } payloads
}
quarantine-empty = Nothing is in quarantine.
quarantine-when = When
quarantine-seq = Seq
quarantine-bytes = Bytes
quarantine-reason = Reason

## Sign-in
sign-in-title = Sign in
sign-in-user = User name
sign-in-password = Password
sign-in-do = Sign in
sign-in-wrong = The user name or the password is wrong.
sign-in-form = The form was too old. Try again.
sign-in-limited = Too many tries. Wait { $n } seconds and try again.

## Keys
keys-title = Keys
keys-move = next, previous
keys-acknowledge = acknowledge
keys-close = close with a reason
keys-search = filter by name
keys-help = this list
keys-done = Done
sound-red = Sound on red

## Errors
error-title = That did not work
error-not-found = There is no such page, patient or alert.
error-store = The store does not answer at the moment. Nothing has been changed. Try again shortly.
error-form = The form was too old, or came from another page. Nothing has been changed. Go back, load the page again and try once more.
error-command = What was asked of the kit was not complete. Nothing has been sent. Go back and try once more.
error-commands = Too much waits for this kit already. Nothing more has been sent.
error-role = Your role does not allow that. Nothing has been changed.
error-conflict = That can't be done as things stand. Nothing has been changed. Go back and look again.
error-unfit = What was sent can't be used. Nothing has been changed. Go back and try once more.
error-large = That was too large. Nothing has been changed.
error-standby = This machine is a standby: the queue is on the one that leads, named below. This page takes over by itself when that one is gone.
error-back = To the queue
