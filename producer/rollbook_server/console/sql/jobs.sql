-- name: messages
-- The messages of one job, by recipient, with what became of their deliveries.
SELECT message.id, message.recipient, message.channel, delivery.state, delivery.reason
FROM rollbook.messages AS message
LEFT JOIN rollbook.deliveries AS delivery ON delivery.message_id = message.id
WHERE message.job_id = %(job_id)s
ORDER BY message.recipient, message.channel, message.id
LIMIT %(limit)s
