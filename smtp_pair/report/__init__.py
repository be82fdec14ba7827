"""A run as one HTML file: what was said, which mails came of it, what became of each.

    collect.py     a running network -> what is kept of a test; kept.py has its form on disk
    gathering.py   the tests of a run, from all workers -> the file (for ``pytest_plugin.py``)
    reading.py     a folder of results, or of servers -> a run
    run.py         a run, its tests, their mails: values
    page.py        a run -> the file. Pure, as are: figures.py (sums), sequence.py, network_map.py, time_line.py,
                   retries.py, plots.py (drawings, each with its text beside it), section.py (one test), mail_view.py,
                   mail_parts.py, body_filter.py (a mail's HTML, without what could reach out), markup.py, styles.py

What is shown comes from strangers. Nothing becomes markup but by ``markup.tag``, which escapes whatever is not markup
already; the page's policy allows neither script nor any address; a mail's HTML lies in a frame that may do nothing.
"""
