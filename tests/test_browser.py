"""The demo's page in a real browser: what a person does, and sees."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import presence_of_element_located
from selenium.webdriver.support.wait import WebDriverWait

from miauflixd.demo.film import NAME
from tests.demo_running import Demo, demo, film_in_cache

pytestmark = [
    pytest.mark.browser,
    pytest.mark.daemon,
    pytest.mark.swarm,
    pytest.mark.timeout(180),
]

WITHIN = 40.0
"""Seconds for anything on the page to happen; two busy cores decode and encode in software."""

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--window-size=1280,900",
)

PLAYS_PAST = """
const [position, done] = arguments;
const video = document.querySelector("video");
const look = () => {
  if (video.seeking || video.currentTime < position) return;
  video.removeEventListener("timeupdate", look);
  const { totalVideoFrames } = video.getVideoPlaybackQuality();
  done({ at: video.currentTime, frames: totalVideoFrames, width: video.videoWidth });
};
video.addEventListener("timeupdate", look);
look();
"""
"""Answers at the first `timeupdate` behind a position."""

PICTURE = """
const video = document.querySelector("video");
const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 36 });
const context = canvas.getContext("2d");
context.drawImage(video, 0, 0, 64, 36);
return Array.from(context.getImageData(0, 0, 64, 36).data);
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    cache, _ = film_in_cache(tmp_path_factory)
    with demo(cache=cache, temporary=tmp_path_factory.mktemp("temporary")) as running:
        yield running


@pytest.fixture(scope="module")
def offers(running: Demo) -> dict[str, str]:
    """What the demo prints: the page, and another torrent as a link and as a file."""
    return {
        "page": running.wait_for(r"http://127\.0\.0\.1:\d+/$")[0],
        **running.wait_for(r"^ +(?P<email>\S+@\S+) +password +(?P<password>\S+)$").groupdict(),
        "magnet": running.wait_for(r"magnet:\S+")[0],
        "file": running.wait_for(r"\S+\.torrent$")[0],
        "end": running.wait_for(r"^Ctrl-C ends it")[0],
    }


@pytest.fixture
def browser(offers: dict[str, str], tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """The page, opened by somebody who was never here before."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService("/usr/bin/chromedriver")
    driver = webdriver.Chrome(options=options, service=service)
    try:
        driver.set_script_timeout(WITHIN)
        driver.get(offers["page"])
        sign_in(driver, offers["email"], offers["password"])
        yield driver
        assert console_errors(driver) == []
    finally:
        driver.quit()


def console_errors(driver: webdriver.Chrome) -> list[str]:
    lines = driver.get_log("browser")  # type: ignore[no-untyped-call]  # Selenium forgot this one
    return [line["message"] for line in lines if line["level"] == "SEVERE"]


def sign_in(driver: webdriver.Chrome, email: str, password: str) -> None:
    WebDriverWait(driver, WITHIN).until(
        lambda driver: driver.find_element(By.ID, "email").is_displayed()
    )
    driver.find_element(By.ID, "email").send_keys(email)
    field = driver.find_element(By.ID, "password")
    field.send_keys(password)
    field.submit()
    WebDriverWait(driver, WITHIN).until(
        lambda driver: driver.find_element(By.ID, "to-downloads").is_displayed()
    )
    driver.find_element(By.ID, "to-downloads").click()
    WebDriverWait(driver, WITHIN).until(
        lambda driver: driver.find_element(By.ID, "add").is_displayed()
    )


def click_film(driver: webdriver.Chrome, name: str) -> None:
    def card(driver: webdriver.Chrome) -> object:
        for found in driver.find_elements(By.CSS_SELECTOR, "#list .card"):
            if name in found.text:
                found.click()
                return True
        return False

    WebDriverWait(driver, WITHIN).until(card)


def now_playing(driver: webdriver.Chrome, name: str) -> None:
    WebDriverWait(driver, WITHIN).until(
        lambda driver: driver.find_element(By.ID, "now-name").text == name
    )
    WebDriverWait(driver, WITHIN).until(
        lambda driver: driver.find_element(By.TAG_NAME, "video").is_displayed()
    )


def test_the_film_plays_and_after_a_seek_it_plays_on(browser):
    click_film(browser, NAME)
    now_playing(browser, NAME)
    early = browser.execute_async_script(PLAYS_PAST, 1.0)
    assert early["width"] == 1280
    first_picture = browser.execute_script(PICTURE)

    browser.execute_script("document.querySelector('video').currentTime = 50")
    late = browser.execute_async_script(PLAYS_PAST, 51.0)
    assert late["at"] < 60
    assert late["frames"] > early["frames"]
    picture = browser.execute_script(PICTURE)
    assert max(picture) > 100, "it is not black"
    assert picture != first_picture


def test_the_page_shows_peers_and_what_is_on_the_disk_and_in_the_browser(browser):
    click_film(browser, NAME)
    browser.execute_async_script(PLAYS_PAST, 0.5)
    for selector in ("#disk rect", "#browser rect"):
        shown = presence_of_element_located((By.CSS_SELECTOR, selector))
        WebDriverWait(browser, WITHIN).until(shown)
    assert re.fullmatch(r"\d+ of \d+", browser.find_element(By.ID, "peers").text)


def test_a_pasted_magnet_link_plays(browser, offers):
    link = browser.find_element(By.ID, "link")
    link.send_keys(offers["magnet"])
    link.submit()
    now_playing(browser, "The same minute, by magnet.mp4")
    assert browser.execute_async_script(PLAYS_PAST, 0.5)["width"] == 1280


def test_a_chosen_torrent_file_plays(browser, offers):
    browser.find_element(By.ID, "pick").send_keys(offers["file"])
    now_playing(browser, "The same minute, by magnet.mp4")
    assert browser.execute_async_script(PLAYS_PAST, 0.5)["width"] == 1280


def test_who_has_signed_in_stays_so_until_they_sign_out(browser):
    browser.refresh()
    click_film(browser, NAME)
    now_playing(browser, NAME)

    browser.find_element(By.ID, "leave").click()
    WebDriverWait(browser, WITHIN).until(
        lambda browser: browser.find_element(By.ID, "email").is_displayed()
    )
    browser.refresh()
    WebDriverWait(browser, WITHIN).until(
        lambda browser: browser.find_element(By.ID, "email").is_displayed()
    )
    assert browser.find_elements(By.CSS_SELECTOR, "#list .card") == []
