"""What a user decides, its rules, its file, and which layers a LoRA may take.

Imports only core files; every other room of training imports it.
"""
