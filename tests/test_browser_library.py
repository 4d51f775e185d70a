"""What a household does: sign in, find a film, press play, go on later. In Chromium."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from miauflixd.catalogue.model import TitleId
from tests import media_corpus
from tests.catalogue_titles import movie, put
from tests.fakes import FakeTorrents
from tests.ready_fakes import FakePlaying, ready
from tests.remux_house import media_files
from tests.test_browser import ARGUMENTS, console_errors
from tests.web_house import PASSWORD, Web, open_web

pytestmark = [pytest.mark.browser, pytest.mark.foreign, pytest.mark.timeout(180)]

WITHIN = 40.0
FILM = "Big.Cat.2019.1080p.WEB-DL.H264.AC3-GRP"


@contextmanager
def chromium(profile: Path, *more: str) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}", *more):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService("/usr/bin/chromedriver")
    driver = webdriver.Chrome(options=options, service=service)
    try:
        driver.set_script_timeout(WITHIN)
        yield driver
    finally:
        driver.quit()


class Viewer:
    """Somebody before the screen."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def sees(self, selector: str, text: str = "") -> WebElement:
        """Wait until something is on the screen, and return it."""

        def found(driver: webdriver.Chrome) -> WebElement | bool:
            for element in driver.find_elements(By.CSS_SELECTOR, selector):
                if element.is_displayed() and text in element.text:
                    return element
            return False

        WebDriverWait(self.driver, WITHIN, ignored_exceptions=[Exception]).until(found)
        element = found(self.driver)
        assert isinstance(element, WebElement)
        return element

    def signs_in(self, url: str, email: str) -> None:
        self.driver.get(url)
        self.sees("#email").send_keys(email)
        field = self.sees("#password")
        field.send_keys(PASSWORD)
        field.submit()
        self.sees("#words")

    def presses(self, *keys: str) -> None:
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def plays_past(self, position: float) -> None:
        """Wait until moving pictures have passed a position."""
        script = """
        const video = document.querySelector("#cinema video");
        const frames = video?.getVideoPlaybackQuality().totalVideoFrames ?? 0;
        return video && !video.paused && video.currentTime > arguments[0] && frames > 20;
        """
        WebDriverWait(self.driver, WITHIN).until(
            lambda driver: driver.execute_script(script, position)
        )


async def put_film(web: Web, torrents: FakeTorrents, playing: FakePlaying, film: Path) -> TitleId:
    title_id = await put(web.library.titles, movie("Big Cat", released=date(2019, 5, 1)))
    source_id = await torrents.add_metainfo(b"d" + film.name.encode() + b"e")
    torrents.learn(source_id, name=film.stem, files={film.name: film.read_bytes()})
    playing.titles[title_id] = ready(FILM, source=source_id)
    return title_id


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("films")


async def with_viewer(
    tmp_path: Path, films: Path, kind: str, script: Callable[[Viewer, str], None], *more: str
) -> None:
    """Have somebody before a house in which one film can be found and played."""
    torrents, playing = FakeTorrents(), FakePlaying()
    film = media_corpus.make(kind, films)
    async with (
        media_files(tmp_path, torrents) as files,
        open_web(tmp_path, torrents=torrents, playing=playing, media=files) as web,
    ):
        await put_film(web, torrents, playing, film)
        ben = await web.add("ben")

        def watch() -> None:
            with chromium(tmp_path / "profile", *more) as driver:
                viewer = Viewer(driver)
                viewer.signs_in(f"{web.url}/", ben.email)
                script(viewer, web.url)
                # What the catalogue of a test has no artwork of, and nothing else.
                assert [one for one in console_errors(driver) if "/api/images/" not in one] == []

        # What went wrong is told without all the groups of a house that is being closed.
        went: Exception | None = None
        try:
            await asyncio.to_thread(watch)
        except Exception as error:  # noqa: BLE001
            went = error
    if went is not None:
        raise went


@pytest.mark.parametrize("kind", ["h264_aac.mp4", "h264_ac3.mkv"])
async def test_a_film_is_found_played_and_gone_on_with(tmp_path, films, kind):
    def script(viewer: Viewer, url: str) -> None:
        viewer.sees("#words").send_keys("big c")
        viewer.sees(".title-card", "Big Cat").click()
        viewer.sees(".hero-words h1", "Big Cat")
        viewer.sees(".play", "Play").click()
        viewer.plays_past(2.0)
        viewer.driver.execute_script("document.querySelector('#cinema video').currentTime = 12")
        viewer.plays_past(13.0)
        viewer.sees(".cinema-bar button", "Figures").click()
        viewer.sees(".cinema-figures", "This source")
        viewer.sees(".cinema-bar button[aria-label='Back']").click()
        # A minute or two is too little to go on with; that it was begun is not forgotten.
        viewer.sees(".play")
        assert not viewer.driver.find_elements(By.CSS_SELECTOR, "#cinema video")

    await with_viewer(tmp_path, films, kind, script)


async def test_the_arrows_of_a_remote_control_are_enough(tmp_path, films):
    def script(viewer: Viewer, url: str) -> None:
        viewer.sees("#words").send_keys("big cat")
        viewer.sees(".title-card", "Big Cat")
        viewer.presses(Keys.ARROW_DOWN)
        focused = viewer.driver.switch_to.active_element
        assert "title-card" in (focused.get_attribute("class") or "")
        viewer.presses(Keys.ENTER)
        viewer.sees(".play", "Play")
        viewer.presses(Keys.ENTER)  # the button has the focus already
        viewer.plays_past(1.0)
        viewer.presses("k")
        WebDriverWait(viewer.driver, WITHIN).until(
            lambda driver: driver.execute_script(
                "return document.querySelector('#cinema video').paused"
            )
        )
        viewer.presses(Keys.ESCAPE)
        viewer.sees(".play")

    await with_viewer(tmp_path, films, "h264_aac.mp4", script)


async def test_what_a_browser_cannot_show_is_offered_to_another_player(tmp_path, films):
    def script(viewer: Viewer, url: str) -> None:
        viewer.sees("#words").send_keys("big cat")
        viewer.sees(".title-card", "Big Cat").click()
        viewer.sees(".play").click()
        viewer.sees(".cinema-curtain", "This browser cannot show it")
        link = viewer.sees(".links a", "Playlist for any player")
        assert "/playlist.m3u8?key=" in (link.get_attribute("href") or "")

    await with_viewer(tmp_path, films, "mpeg2_mp2.mpg", script)


async def test_on_a_phone_nothing_is_wider_than_the_screen(tmp_path, films):
    def script(viewer: Viewer, url: str) -> None:
        viewer.driver.set_window_size(360, 740)
        for path in ("#/", "#/search/big"):
            viewer.driver.get(f"{url}/{path}")
            viewer.sees("#words")
            width = viewer.driver.execute_script(
                "return document.documentElement.scrollWidth - innerWidth"
            )
            assert width <= 0, path
        viewer.sees(".title-card", "Big Cat").click()
        viewer.sees(".play")
        assert (
            viewer.driver.execute_script("return document.documentElement.scrollWidth - innerWidth")
            <= 0
        )

    await with_viewer(tmp_path, films, "h264_aac.mp4", script)
