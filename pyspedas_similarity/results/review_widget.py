"""A review with buttons, for notebooks with ipywidgets."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ..errors import SimilarityError
from ..times import to_text

if TYPE_CHECKING:
    from .judged_lists import Judged
    from .review import Review

_WIDTH = "150px"


class ReviewWidget:
    """Queries and a page of matches as thumbnails, each with yes and no; below them more, search again, save.

    What is shown is `box`, an ipywidgets.VBox.
    """

    def __init__(self, review: Review) -> None:
        self._review = review
        self._widgets: Any = importlib.import_module("ipywidgets")  # optional, the extra 'notebook'
        self._message = self._widgets.HTML()
        self._cards = self._widgets.Box(layout={"flex_flow": "row wrap", "display": "flex"})
        self._path = self._widgets.Text(value=str(review.path or "judged.ecsv"), description="File")
        queries = [self._thumbnails(*pair) for pair in review.query_pictures()]
        self.box = self._widgets.VBox([self._widgets.HBox(queries), self._cards, self._controls(), self._message])
        self._offer(review.next())

    def _controls(self) -> Any:
        buttons = []
        actions = {
            "more": lambda: self._offer(self._review.next()),
            "search again": lambda: self._offer(self._review.again()),
            "save": lambda: self._show(f"Saved in {self._review.save(self._path.value)}."),
        }
        for text, action in actions.items():
            button = self._widgets.Button(description=text)
            button.on_click(lambda _, action=action: self._attempt(action))
            buttons.append(button)
        return self._widgets.HBox([*buttons, self._path])

    def _offer(self, page: list[Judged]) -> None:
        pictures = self._review.pictures(page)
        self._cards.children = tuple(self._card(one, *pictures.get(one.number, ((), ""))) for one in page)
        self._show("" if page else "There are no more matches: search again.")

    def _card(self, one: Judged, pictures: tuple[Any, ...], missing: str) -> Any:
        when = to_text(one.peak)
        words = self._widgets.Label(f"{one.number}: {one.score:.3f}")
        answers = self._widgets.ToggleButtons(
            options=["yes", "no"],
            value=one.answer or None,
            tooltips=[f"{one.number} at {when} is like the query", f"{one.number} at {when} is not like the query"],
            style={"button_width": "60px"},
        )
        answers.observe(lambda change: self._judge(one.number, change["new"]), names="value")
        shown = self._thumbnails(pictures, missing)
        return self._widgets.VBox([words, self._widgets.Label(when), shown, answers], layout={"margin": "4px"})

    def _thumbnails(self, pictures: tuple[Any, ...], missing: str) -> Any:
        images = [self._widgets.Image(value=one.png, format="png", width=_WIDTH, tooltip=one.alt) for one in pictures]
        # A label shows text, never markup.
        return self._widgets.VBox(images or [self._widgets.Label(f"no picture: {missing}")])

    def _judge(self, number: int, answer: str) -> None:
        self._attempt(lambda: self._review.judge(number, answer))

    def _attempt(self, action: Any) -> None:
        """Run the action of a button; show an error below the buttons."""
        try:
            action()
        except SimilarityError as error:
            self._show(str(error))
            return
        if not self._message.value:
            self._show(repr(self._review).strip("<>"))

    def _show(self, text: str) -> None:
        from markupsafe import escape

        self._message.value = str(escape(text))
