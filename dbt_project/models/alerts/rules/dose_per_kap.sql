{{ alert_view('dose_per_kap') }}
