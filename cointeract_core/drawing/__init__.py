"""What is drawn: colours, the page a contact sheet stands on, the plot of a run's curves.

Imports files and errors only; clips and training draw with it.
"""
