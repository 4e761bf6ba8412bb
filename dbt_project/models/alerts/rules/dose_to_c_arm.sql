{{ alert_view('dose_to_c_arm') }}
