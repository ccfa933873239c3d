"""What `bao-backup policy` prints: the least rights of a run, as documents and commands to paste.

Pure: from what is known of a cluster (`asked.Asked`) to sheets of files and commands (`sheet.Sheet`).
Never in here: a secret, or a command that is carried out.
"""
