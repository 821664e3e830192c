"""What a test sees of a figure."""

from analysis.drawing.figure import Drawn


def drawn(result):
    assert isinstance(result, Drawn), result
    return result


def texts(result):
    found = [artist.get_text() for artist in result.figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    return [text.replace("\n", " ") for text in found if text]
