{{ alert_view('badge_not_worn') }}
