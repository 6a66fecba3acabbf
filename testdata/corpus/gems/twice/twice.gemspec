Gem::Specification.new do |spec|
  spec.name = "twice"
  spec.version = "0.1.0"
  spec.summary = "Says it twice"
  spec.authors = ["Nobody"]
  spec.license = "Apache-2.0"
  spec.homepage = "https://example.org/twice"
  spec.files = ["lib/twice.rb", "ext/twice/twice.c", "ext/twice/extconf.rb"]
  spec.extensions = ["ext/twice/extconf.rb"]
end
