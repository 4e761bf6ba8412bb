{{ alert_view('data_quality') }}
