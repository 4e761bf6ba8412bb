{{ alert_view('dose_limit') }}
