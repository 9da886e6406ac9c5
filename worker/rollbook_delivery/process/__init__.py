"""The process that delivers, `rollbook deliver`: for each channel it claims deliveries, renders them, hands them to the
channel's sender and reports what became of them.
"""
