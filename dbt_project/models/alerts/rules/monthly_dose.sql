{{ alert_view('monthly_dose') }}
