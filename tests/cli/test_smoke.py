from tests.sandbox import Sandbox
def test_x(built):
    print(built("build").out)
    print(built.labels("moods"))
    assert built.fresh_nodes() == set()
def test_y(fresh):
    print(fresh("build").out)
    r = fresh("show", "moods", "--limit", "-1")
    print(r.out)
    assert 0
