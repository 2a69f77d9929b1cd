//go:build !race

package zone

const raced = false

func rounds[N int | uint64](n N) N { return n }
