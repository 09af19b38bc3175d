"""The computed traits: real names stay real, in the languages of the customers; made-up ones are told."""

from collections.abc import Callable
from typing import Any

import pytest

from assay.scoring.engine import Explanation
from assay.scoring.engine.qualities import of_traits
from assay.scoring.language import COMPUTED, describe

Run = Callable[..., Explanation]

REAL_NAMES = """
Ng; Li; Wu; O; Vy; Y; U; Xi; Bo; Ho; Na; Nil; Bar; Foo; Guest; Tester; Ion; Reza; Trew; Wertz; Zach Ertz; J. R. Smith
Nguyễn Văn An; Lê Ý; Ngô; Đỗ; Đỗ Thị Lan; Hồ; Lý; Thảo My; Vũ Hà Vy; Bùi Tú; Nguyen Van A; Phạm Nhật Vượng; Ô
Ștefan Țurcanu; Ion Ion; Ana Ana; Țuțu; Ioana-Maria Pop; Crăciun; Brâncuși; Ilie
王; 李; 王小明; 欧阳娜娜; 林森森; 张三丰; 钱多多; Fang Fang; Tingting; Xu Xu; Jiajia Li; Lulu; Yangyang
Nana; Mimi; Lili Lili; Coco Chanel; Bobo; Dede; Krzysztof; Hrvoje; Smrž; O'Brien; D'Angelo; Jean-Luc; Jennifer Null
أحمد; 김; Zsófia; Æsa; Kk Lee; Test Testov; Abcde Smith; Anonymous Bosch
"""
MADE_UP_NAMES = """
asdf; ASDF; test; Test Test; test user; n/a; N/A; n.a.; none; -; ...; aaa; xxx; xxxx; 12345; 0912345678; x; J.
qwerty; qwqwqw; asdasdasd; hahaha; lalala; asdfgh; hgfdsa; zxcvbn; First Name; No Name; Your Name; fake name; abc
哈哈哈; 测试; 匿名; không có; khong co; nimeni; foo bar; qaz wsx
"""
REAL_COMPANIES = """
3M; X; AAA; ABC; XYZ; ACME; Foo; 3; 360; 1688; 777; NA; AA; LaLaLa; Yoyo; Bobobo; HSBC; C&A; BMW; Coca-Cola
Test Research Ltd; Stiftung Warentest; Testo SE; Unknown Worlds; Null & Partner; The Company; None Other Design
Công ty TNHH An Phát; FPT; Vingroup; S.C. Dacia SRL; Banca Transilvania; 北京测试科技有限公司; 无印良品
XXXLutz; Zzz Matratzen; 腾讯
"""
MADE_UP_COMPANIES = """
asdf; test; TEST; n/a; N/A; xxx; none; -; test company; Test GmbH; test inc; asdf Ltd; My Company; Company Name
your company; qwqwqw; aaaa; 1111; 000; 123; qwertyuiop; fake company; 测试公司; 无; không có; niciuna; firma mea
"""
#: A single sign may be anybody.
MADE_UP_COMPANIES = MADE_UP_COMPANIES.replace(" 无;", "")


def each(text: str) -> list[str]:
    return [name.strip() for line in text.strip().splitlines() for name in line.split(";")]


class TestNames:
    @pytest.mark.parametrize("name", each(REAL_NAMES))
    def test_real_ones_are_real(self, name: str) -> None:
        assert of_traits({"name": name})["quality.fake_name"] is False
        first, _, last = name.partition(" ")
        assert of_traits({"first_name": first, "last_name": last, "email": "x@acme.test"})["quality.fake_name"] is False

    @pytest.mark.parametrize("name", each(MADE_UP_NAMES))
    def test_made_up_ones_are_told(self, name: str) -> None:
        assert of_traits({"name": name})["quality.fake_name"] is True

    @pytest.mark.parametrize(
        ("name", "email", "made_up"),
        [
            pytest.param("xk3f9z2", "xk3f9z2@gmail.com", True, id="junk, twice"),
            pytest.param("qwrtp", "qwrtp+1@acme.test", True, id="nothing one could say, twice"),
            pytest.param("anna", "anna@acme.test", False, id="a name"),
            pytest.param("ada1815", "ada1815@gmail.com", False, id="a name and a year"),
            pytest.param("xk3f9z2", "ada@acme.test", False, id="junk, but no proof of it"),
            pytest.param("ada@acme.test", "ada@acme.test", False, id="the address in place of a name"),
        ],
    )
    def test_the_address_over_again(self, name: str, email: str, made_up: bool) -> None:
        assert of_traits({"name": name, "email": email})["quality.fake_name"] is made_up


class TestCompanies:
    @pytest.mark.parametrize("trait", ["company", "company.name", "company_name"])
    @pytest.mark.parametrize("name", each(REAL_COMPANIES))
    def test_real_ones_are_real(self, name: str, trait: str) -> None:
        assert of_traits({trait: name}) == {"quality.fake_company": False}

    @pytest.mark.parametrize("name", each(MADE_UP_COMPANIES))
    def test_made_up_ones_are_told(self, name: str) -> None:
        assert of_traits({"company": name}) == {"quality.fake_company": True}


class TestAddresses:
    @pytest.mark.parametrize(
        ("email", "valid", "free", "disposable", "role"),
        [
            pytest.param("ada@acme.example", True, False, False, False, id="of a company"),
            pytest.param(" Ada@Gmail.com ", True, True, False, False, id="free"),
            pytest.param("x@mailinator.com", True, False, True, False, id="disposable"),
            pytest.param("info@acme.example", True, False, False, True, id="of several people"),
            pytest.param("Sales+eu@acme.example", True, False, False, True, id="with a tag"),
            pytest.param("qwqwqw@k.c", False, False, False, False, id="at a place that can't exist"),
            pytest.param("nobody", False, None, None, None, id="no address"),
            pytest.param("", None, None, None, None, id="blank"),
            pytest.param(["a@b.example"], None, None, None, None, id="a list"),
        ],
    )
    def test_are_judged(self, email: Any, valid: object, free: object, disposable: object, role: object) -> None:
        found = of_traits({"email": email})
        asked = ("valid_email", "free_email", "disposable_email", "role_email")
        assert [found.get(f"quality.{name}") for name in asked] == [valid, free, disposable, role]

    def test_nothing_known_is_nothing_judged(self) -> None:
        assert of_traits({}) == of_traits({"name": " ", "email": None, "company": "[]"}) == {}


class TestInModels:
    RULES = (
        {"id": "free", "when": {"trait": "quality.free_email", "is": True}, "points": -5},
        {"id": "business", "when": {"trait": "quality.free_email", "is_not": True}, "points": 2},
        {"id": "fake", "when": {"any": [{"trait": "quality.fake_name", "is": True}]}, "points": -20},
        {"id": "unjudged", "when": {"trait": "quality.valid_email", "exists": False}, "points": 1},
    )

    @pytest.mark.parametrize(
        ("traits", "total"),
        [
            pytest.param({"email": "a@gmail.com", "name": "Ada"}, -5_000, id="free"),
            pytest.param({"email": "a@acme.example", "name": "test"}, -18_000, id="fake"),
            pytest.param({}, 1_000, id="nothing to judge"),
            pytest.param({"email": "a@acme.example", "quality.free_email": True}, 2_000, id="what a sender says loses"),
            pytest.param({"quality.valid_email": True}, 1_000, id="even where nothing is computed"),
        ],
    )
    def test_count_like_any_trait(self, run: Run, traits: dict[str, Any], total: int) -> None:
        assert run({"rules": self.RULES}, traits=traits).total == total

    def test_one_model_asks_for_what_the_other_is_worked_out_of(self, run: Run) -> None:
        base = {"model": "base", "rules": [self.RULES[0]]}
        asking = {"rules": [{"id": "a", "when": {"model": "base", "score": {"lt": 0}}, "points": 3}, self.RULES[1]]}
        assert run(asking, references=[base], traits={"email": "a@gmail.com"}).total == 3_000

    @pytest.mark.parametrize("name", COMPUTED)
    def test_each_is_computed_alone(self, run: Run, name: str) -> None:
        rules = [{"id": "a", "when": {"trait": name, "exists": True}, "points": 1}]
        known = {"email": "a@acme.example", "name": "Ada", "company": "ACME"}
        explanation = run({"rules": rules}, traits=known)
        assert explanation.total == 1_000
        assert describe(explanation.parts[0].what.values["condition"]) == f"{name} is known"
