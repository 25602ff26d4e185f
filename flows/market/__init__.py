"""The market put together: settings, three flows (market, models, trading), and the demo.

The logic is in operators/market. Other systems and the engine do not import from here.
"""
