{{ alert_view('badge_mismatch') }}
