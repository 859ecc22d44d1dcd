"""What plugins implement, one module per seam. The facades re-export it; plugins import those.

Nothing is imported here, so that planning, which reads :mod:`.timetable`, loads only that.
"""
