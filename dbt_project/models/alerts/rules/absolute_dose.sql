{{ alert_view('absolute_dose') }}
