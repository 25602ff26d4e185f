"""The market's own tools: a simulator, importers of ticks and closing prices, and a report.

They write and read recordings and canonical files. They do not know how the flow computes.
"""
