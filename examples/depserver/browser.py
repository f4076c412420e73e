# browser.py SERVER-PORT PICTURE - opens depserver's page in headless Chromium, presses its buttons,
# and looks at what it shows; the last thing it does is a picture. Chromium's driver is spoken to as
# the WebDriver standard says, with nothing but Python. Each finding is a line; the exit status says
# whether there were any.
import base64
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request

port, picture = int(sys.argv[1]), sys.argv[2]
page = f"http://127.0.0.1:{port}/"
SIZE = (1180, 1420)
PATIENCE = 60  # seconds, on a machine that does much else
findings = []


def call(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(driver + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            return json.load(reply)["value"]
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{method} {path}: {error.read().decode()}") from None


def script(text):
    return call("POST", f"{session}/execute/sync", {"script": text, "args": []})


def eventually(what, text, expected=lambda value: value):
    """Asks for the value of a script until it is as expected."""
    end = time.monotonic() + PATIENCE
    while True:
        value = script("return " + text)
        if expected(value):
            print("ok:", what)
            return value
        if time.monotonic() > end:
            findings.append(f"{what}: {value!r}")
            return value
        time.sleep(0.3)


def click(selector):
    element = call("POST", f"{session}/element", {"using": "css selector", "value": selector})
    call("POST", f"{session}/element/{next(iter(element.values()))}/click", {})


# How many pixels of a canvas bear anything.
INK = """(id => { const c = document.getElementById(id);
    const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
    let n = 0;
    for (let i = 3; i < d.length; i += 4) n += d[i] > 0;
    return n; })"""


def look():
    text = "document.getElementById('%s').textContent"
    eventually("it has numbers", text % "about", lambda v: "packages from" in v and "threads" in v)
    eventually("tiles", "document.querySelectorAll('#tiles .tile b').length", lambda v: v >= 10)
    eventually("types, with the packages", text % "types", lambda v: "package" in v)
    eventually("generations", "document.querySelectorAll('#generations tr').length",
               lambda v: v == 4)
    eventually("live objects by generation", text % "generations",
               lambda v: "live objects" in v and "undefined" not in v and "NaN" not in v)
    eventually("commands and their latency", text % "latency", lambda v: "PING" in v)
    for canvas in "stops", "requests", "heap", "reclaimed", "trace":
        eventually(f"{canvas} is drawn", f"{INK}('{canvas}')", lambda v: v > 500)
    eventually("the trace has events", text % "traced",
               lambda v: " 0 events" not in v and "events" in v)
    eventually("a second has stops", "seconds.some(s => s[1].some(n => n > 0))")
    reloads = "document.querySelector('#tiles .tile:last-child b').textContent"
    before = script("return " + reloads)
    click("#reload")
    eventually("RELOAD is answered", text % "said", lambda v: v == "reloaded")
    eventually("reloads are counted", reloads, lambda v: v != before)
    click("#why button")
    eventually("WHY is answered", text % "because", lambda v: "package libc6" in v and "index" in v)
    size = call("POST", f"{session}/execute/async", {"args": [], "script":
        "const done = arguments[0]; fetch(document.getElementById('snapshot').href)"
        ".then(r => r.json()).then(s => done(s.snapshot.node_count), e => done(String(e)))"})
    if not isinstance(size, int) or size < 400:
        findings.append(f"the snapshot: {size!r}")
    click("#retrace")
    # What the policy forbids is an error in the browser's log; so is a script that threw.
    for entry in call("POST", f"{session}/se/log", {"type": "browser"}):
        if entry["level"] == "SEVERE":
            findings.append(f"the browser says: {entry['message']}")
    # A script from elsewhere, or one that data brought along, must not run.
    script("const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
           "document.body.append(s); const i = document.createElement('img'); i.onerror = null;"
           "i.setAttribute('onerror', 'window.ran = 2'); i.src = '/nosuch';"
           "document.body.append(i);")
    time.sleep(1)
    if script("return window.ran"):
        findings.append("a script without the number ran")
    script("document.querySelectorAll('body > img').forEach(e => e.remove())")


def browse():
    global session
    # Without a sandbox, as root in a container needs it; it opens nothing but this page.
    arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 "--hide-scrollbars", f"--window-size={SIZE[0]},{SIZE[1]}"]
    wanted = {"browserName": "chrome", "goog:chromeOptions": {"args": arguments},
              "goog:loggingPrefs": {"browser": "ALL"}}
    begun = call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
    session = "/session/" + begun["sessionId"]
    try:
        call("POST", f"{session}/url", {"url": page})
        look()
        script("window.scrollTo(0, 0); trace()")
        time.sleep(3)  # the trace of now
        with open(picture, "wb") as f:
            f.write(base64.b64decode(call("GET", f"{session}/screenshot")))
    finally:
        call("DELETE", session)


process = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
try:
    for line in process.stdout:
        if "successfully on port" in line:
            driver = "http://127.0.0.1:" + line.rsplit(" ", 1)[1].strip().rstrip(".")
            break
    else:
        sys.exit("chromedriver did not start")
    browse()
finally:
    process.terminate()
    process.wait()
for finding in findings:
    print("FAILED:", finding)
sys.exit(bool(findings))
