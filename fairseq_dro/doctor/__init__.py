"""Reads a data folder and a configuration, and lists what would stop or spoil training.

What is wrong with data is found by ``checks/``, whose first finding training raises.
"""
