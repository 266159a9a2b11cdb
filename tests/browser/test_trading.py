"""Orders from the page: the ticket, its confirmation, cancelling; own orders and fills marked; news of fills."""

import json
from typing import Any

import pytest

from tests.browser.looking import BOOK, live, painted, row, text_is, texts, told, until

pytestmark = pytest.mark.browser

PLACE, CANCEL = "/api/accounts/7/orders/", "/api/accounts/7/orders/cancel/"
DIALOG_OPEN = "document.querySelector('#order-dialog').open"
STATE = "document.querySelector('#order-dialog .order-state strong').textContent"


def posted(fake: Any, path: str) -> list[dict[str, Any]]:
    return [entry["body"] for entry in fake.tell("log")["posted"] if entry.get("path") == path]


def trader(open_page: Any, fake: Any, **given: Any) -> Any:
    """The page of somebody who may trade, with a market that stands still."""
    fake.tell("account", trading=True)
    page = live(open_page("/", **given))
    until(page, "!document.querySelector('#ticket').hidden")
    fake.tell("set", frozen=True)
    return page


def fill_in(page: Any, index: int = 3, size: str = "0.05") -> str:
    """Take the price of a bid row into the ticket, and open the confirmation; the price."""
    page.locator(row("bid", index, ".ladder-price")).click()
    price: str = page.locator("#ticket-price").input_value()
    page.locator("#ticket-size").fill(size)
    until(page, "!document.querySelector('#ticket .ticket-submit').disabled")
    page.locator("#ticket-size").press("Enter")
    until(page, DIALOG_OPEN)
    return price


def test_no_ticket_for_who_may_not_trade(open_page: Any, fake: Any) -> None:
    fake.tell("account", trading=True, role="viewer")
    page = live(open_page(prefs={"tab": "orders"}))
    until(page, "document.querySelectorAll('#orders tbody tr').length === 3")
    assert not page.locator("#ticket").is_visible()
    assert not page.locator(".cancel-bar, .cell-action, .ladder-cancel").filter(visible=True).count()


def test_one_confirmation_is_one_order(open_page: Any, fake: Any) -> None:
    """Lost answers, then the same key again: one order stands, marked in the ladder, and is cancelled there."""
    page = trader(open_page, fake)
    answers = [
        {"status": 503, "code": "unavailable", "message": "The worker does not answer.", "places": True},
        {"state": "unsure", "sentence": "The exchange did not answer yet."},
    ]
    open_page.troubles.expect("503")
    fake.tell("orders", answers=answers)
    page.get_by_label("Post only").check()
    price = fill_in(page)
    figures = dict(zip(texts(page, ".order-figures dt"), texts(page, ".order-figures dd"), strict=True))
    value = round(float(price) * 0.05, 2)
    assert figures["Value"].startswith(f"{value:,.2f} USDT")
    assert "maker, 0.10" in figures["Estimated fee"] and figures["Terms"] == "Limit · GTC · post only"
    assert "behind the best bid" in figures["From the best"] and figures["Takes at once"].startswith("nothing")
    assert page.locator("#order-dialog .tag-sim").is_visible()
    for state in ("No answer", "Not known yet whether the exchange has it", "Placed"):
        page.locator(".order-send").click()
        until(page, f"{STATE} === {state!r}")
        said = page.locator(".order-state span").text_content()
        assert ("did not answer yet" in said) == state.startswith("Not known")
    bodies = posted(fake, PLACE)
    assert len(bodies) == 3 and len({json.dumps(body) for body in bodies}) == 1
    order = {"symbol": "BTC/USDT", "side": "buy", "size": "0.05", "post_only": True, "reduce_only": False}
    assert order.items() <= bodies[0].items() and float(bodies[0]["price"]) == float(price)
    assert len(bodies[0]["key"]) == 36 and bodies[0]["time_in_force"] == "GTC"
    page.locator("#order-dialog").get_by_text("Close").click()
    mark = page.locator(".ladder-own[data-side=buy]:visible").filter(has_text="0.05")
    told(page, lambda: mark.count() == 1)
    assert "Own: Main buy 0.05 at" in mark.get_attribute("title")
    fill_in(page)
    assert page.evaluate(STATE) == ""
    page.locator("#order-dialog").get_by_text("Back").click()
    page.locator("#ticket-price").fill("1.234")
    until(page, text_is(".ticket-problem", "Price goes in steps of 0.01."))
    assert page.locator(".ticket-submit").is_disabled()
    mark.get_by_role("button", name="Cancel").click()
    until(page, "!document.querySelector('.ladder-own:not([hidden])')")
    assert posted(fake, CANCEL) == [{"symbol": "BTC/USDT", "order_id": "4200000"}]
    assert len(posted(fake, PLACE)) == 3


def test_a_confirmation_that_was_closed_is_still_the_same_order(open_page: Any, fake: Any) -> None:
    """The page said that asking again is never a second order. Another order is one, and says what is not known."""
    page = trader(open_page, fake)
    lost = {"status": 503, "code": "unavailable", "message": "The worker does not answer."}
    open_page.troubles.expect("503")
    fake.tell("orders", answers=[lost, lost])
    fill_in(page)
    page.locator(".order-send").click()
    until(page, f"{STATE} === 'No answer'")
    page.keyboard.press("Escape")
    until(page, f"!{DIALOG_OPEN}")
    until(page, text_is(".ticket-told strong", "No answer"))
    page.locator("#ticket-size").press("Enter")
    until(page, f"{DIALOG_OPEN} && {STATE} === 'No answer'")
    assert page.locator(".order-send").text_content() == "Ask again"
    page.locator(".order-send").click()
    told(page, lambda: len(posted(fake, PLACE)) == 2)
    until(page, f"{STATE} === 'No answer'")
    page.keyboard.press("Escape")
    page.locator("#ticket-size").fill("0.06")
    page.locator("#ticket-size").press("Enter")
    until(page, f"{DIALOG_OPEN} && {STATE} === ''")
    assert texts(page, ".order-warnings li")[0].startswith("It is not known yet what has become of: Buy 0.05 BTC at ")
    page.keyboard.press("Escape")
    page.locator(".ticket-told button").click()
    until(page, "document.querySelector('.ticket-told').hidden")
    page.locator("#ticket-size").fill("0.05")
    page.locator("#ticket-size").press("Enter")
    until(page, f"{DIALOG_OPEN} && {STATE} === ''")
    assert "It is not known" not in "".join(texts(page, ".order-warnings li"))
    page.locator(".order-send").click()
    until(page, f"{STATE} === 'Placed'")
    first, again, new = (body["key"] for body in posted(fake, PLACE))
    assert first == again != new


def test_a_late_answer_leaves_what_is_typed_meanwhile(open_page: Any, fake: Any) -> None:
    page = trader(open_page, fake)
    held: list[Any] = []
    page.route(f"**{PLACE}", lambda route: held.append(route))
    fill_in(page)
    page.locator(".order-send").click()
    told(page, lambda: held)
    page.keyboard.press("Escape")
    until(page, text_is(".ticket-told strong", "Sending"))
    page.locator("#ticket-size").fill("0.")
    held[0].continue_()
    until(page, text_is(".ticket-told strong", "Placed"))
    assert page.locator("#ticket-size").input_value() == "0."


def test_what_was_pressed_counts_though_the_rows_move(open_page: Any, fake: Any) -> None:
    """A level vanishes while the button is down: another row stands under the pointer when it is released."""
    page = trader(open_page, fake)
    fill_in(page)
    page.locator(".order-send").click()
    until(page, f"{STATE} === 'Placed'")
    page.keyboard.press("Escape")
    own = f"document.querySelector({row('bid', 3, '.ladder-own')!r}).hidden"
    until(page, f"!{own}")
    bids = fake.tell("frame", topic=BOOK)["data"]["bids"]
    assert len(bids) > 10
    page.locator(row("bid", 3, ".ladder-cancel")).hover()
    page.mouse.down()
    fake.tell("market", key="binance:BTC/USDT", bids=bids[1:])
    until(page, own)
    page.mouse.up()
    told(page, lambda: posted(fake, CANCEL) == [{"symbol": "BTC/USDT", "order_id": "4200000"}])
    typed = page.locator("#ticket-price").input_value()
    wanted = page.locator(row("bid", 5, ".ladder-price")).text_content().replace(",", "")
    page.locator(row("bid", 5, ".ladder-price")).hover()
    page.mouse.down()
    fake.tell("market", key="binance:BTC/USDT", bids=bids[2:])
    until(
        page,
        f"document.querySelector({row('bid', 5, '.ladder-price')!r}).textContent.replaceAll(',', '') !== {wanted!r}",
    )
    page.mouse.up()
    assert page.locator("#ticket-price").input_value() == wanted != typed


def test_refusals_are_shown_in_the_exchanges_words(open_page: Any, fake: Any) -> None:
    page = trader(open_page, fake)
    fake.tell("orders", answers=[{"status": 409, "code": "refused", "message": "Insufficient balance."}])
    page.locator(".ticket-sides [data-value=sell]").click()
    page.locator(".ticket-types [data-value=market]").click()
    page.locator("#ticket-size").fill("300000")
    page.locator(".ticket-submit").click()
    until(page, DIALOG_OPEN)
    assert "hold only" in texts(page, ".order-warnings li")[0]
    page.locator(".order-send").click()
    until(page, f"{STATE} === 'Refused'")
    assert page.locator(".order-state span").text_content() == "Insufficient balance."
    assert not page.locator(".order-send").is_visible()
    assert posted(fake, PLACE)[0]["price"] is None
    open_page.troubles.expect("409")


def test_cancelling_asks_before_it_takes_more_than_one(open_page: Any, fake: Any) -> None:
    page = trader(open_page, fake, prefs={"tab": "orders"})
    rows = "document.querySelectorAll('#orders tbody tr').length"
    until(page, f"{rows} === 3")
    page.locator("#orders .cell-action").first.click()
    until(page, f"{rows} === 2")
    page.get_by_text("Cancel all of Main (2)").click()
    page.locator("#question").get_by_text("Back").click()
    assert posted(fake, "/api/accounts/7/cancel-all/") == []
    page.locator(".cancel-bar").get_by_text("Cancel everything").click()
    page.locator("#question .button-danger").click()
    until(page, f"{rows} === 0")
    assert page.locator("#toast").text_content() == "Main: 2 orders cancelled"
    assert posted(fake, "/api/cancel-all/") == [{}]


def test_positions_in_hedge_mode(open_page: Any, fake: Any) -> None:
    fake.tell("account", hedge=True, liquidation="60500")
    page = live(open_page())
    until(page, "document.querySelectorAll('#positions tbody tr').length === 2")
    assert texts(page, "#positions .col-side .cell-main") == ["Long", "Short"]
    levels = page.eval_on_selector_all("#positions .col-liquidation .cell-sub", "all => all.map(one => one.className)")
    assert all("bad" in level for level in levels)
    assert texts(page, "#positions .col-margin .cell-sub") == ["USDT · cross · 5×"] * 2


def test_a_profit_is_named_in_its_own_asset(open_page: Any, fake: Any) -> None:
    """Not in the one that the contract settles in."""
    fake.tell("account", settle="BTC")
    page = live(open_page())
    until(page, "document.querySelector('#positions .col-margin .cell-sub')?.textContent === 'BTC · cross · 5×'")
    assert texts(page, "#positions .col-unrealised .cell-main")[0].endswith(" USDT")
    assert "USDT" in page.locator("#summary").inner_text() and "BTC" not in page.locator("#summary").inner_text()


def test_a_new_fill_is_told_once(open_page: Any, fake: Any) -> None:
    fake.tell("wishes", sound=True, notifications=True, title_profit=True)
    fake.tell("own", complete=True)
    script = """
    Document.prototype.hasFocus = () => false;
    globalThis.told = []; globalThis.tones = 0;
    globalThis.Notification = class {
      static permission = "granted";
      constructor(title, more) { told.push([title, more.body]); }
    };
    const start = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (...given) { tones += 1; return start.apply(this, given); };
    """
    page = live(open_page(prepare=lambda page: page.add_init_script(script)))
    until(page, "document.title.startsWith('+310.20 USDT · ')")
    fake.tell("own", change=None)
    until(page, "document.title.startsWith('– USDT · ')")  # not known, and no figure of before
    fake.tell("own", change="310.2")
    page.locator("#tab-fills").click()
    until(page, "document.querySelectorAll('#fills tbody tr').length === 23")
    fills = fake.tell("fill", count=1)
    until(page, "told.length === 1 && tones === 2")
    verb = {"buy": "Bought", "sell": "Sold"}[fills[0]["side"]]
    assert page.evaluate("told[0][0]").startswith(f"{verb} {fills[0]['size']} ")
    assert "SIMULATED" in page.evaluate("told[0][1]")
    until(page, "document.querySelectorAll('#fills tbody tr.fresh').length === 1")
    fake.tell("account", state="LIVE")  # the same fills in another frame
    painted(page, fake, "fills:7")
    assert page.evaluate("[told.length, tones]") == [1, 2]
    fake.tell("wishes", title_profit=False)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    until(page, "!document.title.includes('310.20')")


def test_settings_of_an_account(open_page: Any, fake: Any) -> None:
    page = open_page("/accounts/")
    assert texts(page, ".rights li") == ["may read", "may trade", "may not withdraw"]
    page.locator(".account-details summary").click()
    save = page.get_by_role("button", name="Save")
    assert save.is_disabled()
    page.get_by_label("Dead man").fill("5")
    page.get_by_label("Trading").check()
    save.click()
    until(page, "document.querySelector('.account-settings .form-status').textContent.startsWith('dead_man_s: 5')")
    page.get_by_label("Dead man").fill("30")
    save.click()
    until(page, text_is(".account-settings .form-status", "Saved"))
    bodies = posted(fake, "/api/accounts/7/")
    assert bodies == [{"trading": True, "dead_man_s": 5}, {"trading": True, "dead_man_s": 30}]
    assert page.locator(".account h2 .tag-warn").text_content() == "TRADING"
    page.locator("#new-exchange").select_option("okx")
    assert page.get_by_label("API passphrase").is_visible()
    assert "cannot be asked what a key may do" in page.locator("#new-how").text_content()
    open_page.troubles.expect("400")
