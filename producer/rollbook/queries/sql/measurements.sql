-- name: since
-- The measurements after a time, the oldest first; there are none that are older than an hour.
SELECT measured_at, figures
FROM rollbook.measurements
WHERE measured_at > coalesce(%(since)s::timestamptz, '-infinity')
ORDER BY measured_at
