function! OwnThing()
  return "thing"
endfunction
