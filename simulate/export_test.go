package simulate

// Users is the table of users, for tests.
var Users = users
