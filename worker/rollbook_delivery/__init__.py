"""Delivers messages: claims deliveries, renders their templates, hands them to senders."""
