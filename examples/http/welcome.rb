# Creates a user, triggers a workflow and reads the feed, with the standard library: ruby welcome.rb
require "json"
require "net/http"

def call(method, path, body = nil, key = nil)
  uri = URI(ENV.fetch("ROLLBOOK_SERVER_URL") + path)
  request = Net::HTTP.const_get(method).new(uri, "authorization" => "Bearer #{ENV.fetch("ROLLBOOK_SECRET_KEY")}")
  request["idempotency-key"] = key if key
  if body
    request["content-type"] = "application/json"
    request.body = JSON.generate(body)
  end
  attempt = 0
  begin
    attempt += 1
    # Net::HTTP would send a GET again by itself, and nothing else
    answer = Net::HTTP.start(uri.host, uri.port, use_ssl: uri.scheme == "https", read_timeout: 10) { |http| http.request(request) }
    raise IOError, "503" if answer.code == "503"
  rescue IOError, SystemCallError, Timeout::Error
    raise if attempt == 5
    sleep((answer && answer["retry-after"] || 1).to_i)
    retry
  end
  raise "#{answer.code}: #{answer.body}" unless answer.is_a?(Net::HTTPSuccess)
  answer.body.to_s.empty? ? nil : JSON.parse(answer.body)
end

ann = { name: "Ann", plan: "pro" }
call(:Put, "/v1/users/ann", ann, "signup-ann")
call(:Put, "/v1/users/ann", ann, "signup-ann") # sent again: nothing happens twice
call(:Post, "/v1/workflows/welcome/trigger", { recipients: ["ann"], data: { page: 7 } }, "welcome-ann")
feed = call(:Get, "/v1/users/ann/feeds/in_app")
puts "#{feed["meta"]["unread_count"]} #{feed["entries"][0]["data"]["page"]}"
