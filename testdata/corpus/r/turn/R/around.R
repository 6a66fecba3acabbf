around <- function(text) paste(rev(strsplit(text, "")[[1]]), collapse = "")
twice <- function(n) .C("twice", as.integer(n))[[1]]
