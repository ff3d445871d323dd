"""Certificates that are renewed on disk are taken up while all goes on."""

from pathlib import Path

from unit.eureka.papers import Papers
from unit.eureka.reader import Reader, addresses, play


def test_a_certificate_that_is_renewed_is_shown_from_the_next_whole_reading_on(
    tmp_path: Path,
) -> None:
    papers = Papers(tmp_path / "papers")
    server = papers.serving(mutual=True)

    async def scenario(reader: Reader) -> None:
        await reader.polls(12)
        assert len(server.shown) == 1
        papers.renew()
        await reader.polls(12)
        assert len(server.shown) == len(set(server.shown)) == 2
        server.registry.register("orders", "10.0.0.2", 80)
        await reader.polls()
        assert addresses(reader.said[-1]) == ["10.0.0.1", "10.0.0.2"]
        assert reader.failures == []
        assert reader.events("info") == ["certificates renewed"]

    play(scenario, server, tls=papers.tls(mutual=True), **{"full-interval": "10s"})


def test_a_file_that_is_spoilt_is_told_once_and_the_one_before_it_goes_on(tmp_path: Path) -> None:
    """Also after an outage, until the file is mended."""
    papers = Papers(tmp_path / "papers")
    server = papers.serving(mutual=True)
    _, key = papers.bridge

    async def scenario(reader: Reader) -> None:
        key.write_text("nothing")
        await reader.polls(35)
        assert reader.events("warning") == ["certificates not renewed"]
        assert "no usable pair" in reader.recorder.troubles["tls"]
        await server.stop()
        await reader.polls(2)
        assert reader.failures
        await server.start()
        server.registry.register("orders", "10.0.0.2", 80)
        await reader.polls(3)
        assert addresses(reader.said[-1]) == ["10.0.0.1", "10.0.0.2"]
        key.unlink()
        await reader.polls(12)
        assert len(reader.events("warning")) == 2
        papers.renew()
        await reader.polls(12)
        assert reader.recorder.troubles == {}
        assert len(set(server.shown)) == 2

    play(scenario, server, tls=papers.tls(mutual=True), **{"full-interval": "10s"})
