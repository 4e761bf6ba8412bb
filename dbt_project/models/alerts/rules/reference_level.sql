{{ alert_view('reference_level') }}
