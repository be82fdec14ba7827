"""How the report looks: light and dark, wide and narrow. Pure."""

STYLE = """
:root{color-scheme:light dark;--paper:#fdfdfc;--card:#fff;--soft:#f4f4f1;--line:#dcdcd6;--ink:#1d1d1b;--dim:#5d5d57;
--blue:#1d5fa8;--green:#1c6b3f;--red:#b3261e;--amber:#8a5200;--violet:#6a3fa0;--green-fill:#4a9d6e;--blue-fill:#5b93cf;
--amber-fill:#d09a3a;--red-fill:#d2625a;--grey-fill:#b9b9b2;--focus:#1d5fa8}
@media (prefers-color-scheme:dark){:root{--paper:#151617;--card:#1b1c1e;--soft:#232528;--line:#383b3f;--ink:#e9e9e6;
--dim:#a4a7ab;--blue:#82b7f0;--green:#7ccb9c;--red:#ff9188;--amber:#eebb62;--violet:#c3a3ef;--green-fill:#4f9a70;
--blue-fill:#5488c0;--amber-fill:#b9862f;--red-fill:#c35850;--grey-fill:#5b5e62;--focus:#82b7f0}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:76rem;padding:1.5rem 1.25rem 4rem;background:var(--paper);color:var(--ink);
font:.9375rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;overflow-wrap:anywhere}
h1{font-size:1.5rem;line-height:1.25;font-weight:650;letter-spacing:-.01em;margin:0}
h2{font-size:1.0625rem;font-weight:650;margin:0 0 .75rem}
h3{font-size:.9375rem;font-weight:600;margin:0}
h4{font-size:.875rem;font-weight:600;margin:1.5rem 0 .5rem}
p{margin:.35rem 0}
.dim,figcaption,caption,footer{color:var(--dim);font-size:.8125rem}
.sums{display:flex;flex-wrap:wrap;gap:.15rem 1.1rem;color:var(--dim);margin:.4rem 0 0}
.sums .failed{color:var(--red);font-weight:600}.sums .passed{color:var(--green)}
section{margin-top:2.25rem}
footer{margin-top:3rem;border-top:1px solid var(--line);padding-top:.75rem}
.skip{position:absolute;left:-100rem}.skip:focus{position:static}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
:focus-visible{outline:2px solid var(--focus);outline-offset:2px;border-radius:3px}
a{color:var(--blue)}
pre,.digest,.file{font-family:ui-monospace,"SF Mono",Menlo,"DejaVu Sans Mono",monospace;font-size:.78rem;
line-height:1.5}
pre{margin:.4rem 0;padding:.7rem .85rem;background:var(--soft);border-radius:6px;overflow:auto;max-height:30rem;
white-space:pre-wrap}
pre.problem{border-left:3px solid var(--red);border-radius:0 6px 6px 0}
.wide{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-size:.8125rem;width:100%}
caption{text-align:left;padding:0 0 .35rem}
th,td{text-align:left;vertical-align:top;padding:.3rem .9rem .3rem 0;border-bottom:1px solid var(--line);
overflow-wrap:break-word;white-space:pre-line}
thead th{font-weight:500;color:var(--dim);white-space:nowrap}
tbody th{font-weight:600;white-space:nowrap;max-width:22rem;overflow:hidden;text-overflow:ellipsis}
.fields td{min-width:11rem;overflow-wrap:anywhere;
font-family:ui-monospace,Menlo,"DejaVu Sans Mono",monospace;font-size:.75rem}
details>summary{cursor:pointer;border-radius:4px}
details:not(.test,.mail){margin:.5rem 0}
details:not(.test,.mail)>summary{color:var(--blue);font-size:.8125rem;width:fit-content}
.beside{display:grid;grid-template-columns:minmax(0,380px) minmax(0,1fr);gap:2rem;align-items:start}
.beside.even{grid-template-columns:repeat(2,minmax(0,1fr))}
svg{display:block;max-width:none}
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:var(--ink)}
svg .faint{fill:var(--dim);font-size:11px}svg .strong{font-weight:600;font-size:12px}
.line text{fill:var(--dim);font-size:11px}
.map{max-width:100%;height:auto}
.map .server{fill:var(--card);stroke:var(--line);stroke-width:1.25}
.map .faulty{stroke:var(--amber-fill)}.map .stranger{stroke-dasharray:4 3;fill:none}
.way{fill:none;stroke:var(--dim);stroke-width:1.25}.tip{fill:var(--dim)}
.way.unused{stroke:var(--line);stroke-dasharray:3 4}.tip.unused{fill:var(--line)}
.way.trouble{stroke:var(--amber-fill)}.tip.trouble{fill:var(--amber-fill)}
.map .count{font-size:12px;font-weight:600}.map .count.trouble{fill:var(--amber)}
.stub{fill:none;stroke:var(--red-fill);stroke-width:1.5}.map .refused{fill:var(--red);font-size:11px}
.lane-row{display:grid;grid-template-columns:5rem minmax(0,1fr);gap:.75rem;align-items:center}
.worker{font-size:.8125rem;color:var(--dim)}
.lane-row svg{background:var(--soft);border-radius:4px;margin:2px 0}
.bar{fill:var(--grey-fill)}.bar.passed{fill:var(--green-fill)}.bar.failed{fill:var(--red-fill)}
.scale{display:flex;justify-content:space-between;font-size:.75rem;color:var(--dim)}
figure{margin:.6rem 0 .2rem}figcaption b{font-weight:600}
.plot{border-bottom:1px solid var(--line)}
.fill{fill:var(--grey-fill)}
.fill.delivered{fill:var(--green-fill)}.fill.forwarded{fill:var(--blue-fill)}.fill.deferred{fill:var(--amber-fill)}
.fill.refused,.fill.failed{fill:var(--red-fill)}
.median{stroke:var(--ink);stroke-width:1.25;stroke-dasharray:2 2}
.delivered,.passed{color:var(--green)}.forwarded{color:var(--blue)}.deferred{color:var(--amber)}
.refused,.failed{color:var(--red)}
.which{border:0;padding:0;margin:0;min-width:0}
.which>input,.tabs>input{position:absolute;opacity:0;width:1px;height:1px}
.which>label,.tabs>label{display:inline-block;padding:.25rem .7rem;margin:0 .15rem .5rem 0;border-radius:999px;
font-size:.8125rem;color:var(--dim);cursor:pointer}
.which>input:checked+label,.tabs>input:checked+label{background:var(--soft);color:var(--ink);font-weight:600}
.which>input:focus-visible+label,.tabs>input:focus-visible+label{outline:2px solid var(--focus);outline-offset:1px}
.which>#failed:checked~div>.test:not(.failed){display:none}
.test{background:var(--card);border:1px solid var(--line);border-radius:8px;margin:0 0 .5rem;padding:0 1rem;
color:inherit}
.test[open]{padding-bottom:1rem}
.test.failed{color:inherit;border-left:3px solid var(--red-fill)}
.test>summary{padding:.6rem 0}
.test>summary h3{display:inline;font-weight:550;margin-right:.6rem}
.test>summary .dim{white-space:nowrap}
.badge{font-size:.75rem;font-weight:600;margin-right:.6rem}
.badge.skipped{color:var(--dim)}
.sequence .lane{stroke:var(--line);stroke-width:1}
.sequence .head{fill:var(--soft);stroke:var(--line)}.sequence .head.client{fill:none}
.sequence text{font:11px ui-monospace,"SF Mono",Menlo,"DejaVu Sans Mono",monospace;font-size:10px}
.sequence text.strong{font-weight:600}.sequence .time{fill:var(--dim)}
.sequence .arrow{stroke:var(--dim);stroke-width:1}
.sequence line.reply{stroke-dasharray:4 3}.sequence text.reply,.sequence text.note{fill:var(--dim)}
.sequence line.body{stroke:var(--blue);stroke-width:2}.sequence path.body{fill:var(--blue)}
.sequence text.body{fill:var(--blue);font-weight:600}
.sequence line.refusal{stroke:var(--red-fill);stroke-dasharray:4 3}.sequence path.refusal{fill:var(--red-fill)}
.sequence text.refusal,.sequence text.fault{fill:var(--red)}.sequence text.fault{font-weight:600}
.sequence .dot{fill:var(--grey-fill)}.sequence .dot.fault{fill:var(--red-fill)}
.sequence .dot.body{fill:var(--blue-fill)}
.mail{border-top:1px solid var(--line)}.mail:last-child{border-bottom:1px solid var(--line)}
.mail>summary{padding:.5rem 0}
.mail .title{font-weight:600;margin-right:.75rem}
.mail[open]{padding-bottom:.75rem}
.tabs{border:0;margin:.25rem 0 0;padding:0;min-width:0;position:relative}
.panel{display:none}
.tabs>input:nth-of-type(1):checked~.panel:nth-of-type(1),.tabs>input:nth-of-type(2):checked~.panel:nth-of-type(2),
.tabs>input:nth-of-type(3):checked~.panel:nth-of-type(3),.tabs>input:nth-of-type(4):checked~.panel:nth-of-type(4),
.tabs>input:nth-of-type(5):checked~.panel:nth-of-type(5),.tabs>input:nth-of-type(6):checked~.panel:nth-of-type(6)
{display:block}
iframe{width:100%;height:20rem;border:1px solid var(--line);border-radius:6px;background:#fff;resize:vertical}
.attachments,.waits{list-style:none;margin:0;padding:0}
.attachments li,.waits li{padding:.5rem 0;border-bottom:1px solid var(--line)}
.attachments img{max-width:min(100%,20rem);max-height:14rem;display:block;margin:.4rem 0;border-radius:4px}
.attempt{stroke:var(--card);stroke-width:1.5}
.attempt.delivered,.attempt.forwarded{fill:var(--green-fill)}.attempt.failed{fill:var(--red-fill)}
.attempt.deferred{fill:var(--card);stroke:var(--amber-fill);stroke-width:2}
@media (max-width:52rem){.beside,.beside.even{grid-template-columns:minmax(0,1fr);gap:1.25rem}}
@media (max-width:34rem){body{padding:1rem .75rem 3rem}.test{padding:0 .6rem}.lane-row{grid-template-columns:3.2rem 1fr}
.test>summary .dim{white-space:normal}section{margin-top:1.75rem}}
@media print{.test,.mail{break-inside:avoid}}
"""
