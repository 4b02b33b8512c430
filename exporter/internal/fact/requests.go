package fact

func (r Requests) Plus(more Requests) Requests {
	return Requests{List: r.List + more.List, Get: r.Get + more.Get, Other: r.Other + more.Other}
}
