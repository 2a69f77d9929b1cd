// Package jsonpath finds values in JSON by path, as RFC 9535 has it:
//
//	$.status                        a member
//	$['queue depth'], $.hosts[-1]   names in quotes, an element from the end
//	$.checks[*].up, $..up           every element; at any depth
//	$.checks[0:2,5]                 slices, and several selectors
//	$.checks[?@.name == 'db'].up    the elements for which a condition holds
//
// It has all of the RFC but the functions of section 2.4 (length, count, match,
// search, value), which are an error of Parse.
//
// What a search may cost is the caller's to say: every value that is looked at counts,
// since a path such as $..*..* can look at far more values than there are.
package jsonpath
