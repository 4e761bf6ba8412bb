{{ alert_view('patient_dose') }}
