package health

// EachChange calls f, in their order, for the targets whose state, overrides not
// considered, is another one than in an earlier view of the same generation. It
// costs a look at each page of targets, and not at each target.
func (v *View) EachChange(before *View, f func(target int)) {
	for n, p := range v.pages {
		if p == before.pages[n] {
			continue
		}
		for i := n * pageLen; i < min((n+1)*pageLen, len(v.states)); i++ {
			if v.State(i) != before.State(i) {
				f(i)
			}
		}
	}
}
