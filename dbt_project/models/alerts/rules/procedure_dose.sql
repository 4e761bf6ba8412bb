{{ alert_view('procedure_dose') }}
