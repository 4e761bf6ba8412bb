{{ alert_view('training_due') }}
