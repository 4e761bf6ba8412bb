{{ alert_view('pregnancy') }}
