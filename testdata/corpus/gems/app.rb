require "twice"
puts Twice.say("hear")
