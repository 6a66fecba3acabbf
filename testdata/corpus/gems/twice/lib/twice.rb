require "twice/twice"
# Says things twice.
module Twice
  # Says +word+ twice.
  def self.say(word)
    ([word] * count).join(" ")
  end
end
