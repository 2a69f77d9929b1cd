return ssh_exec("h", "u", "p", "c") ~= ""
