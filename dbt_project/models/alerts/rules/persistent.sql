{{ alert_view('persistent') }}
