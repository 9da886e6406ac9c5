<?php
// Creates a user, triggers a workflow and reads the feed, with what comes with PHP: php welcome.php
function call(string $method, string $path, ?array $body = null, ?string $key = null): ?array
{
    $headers = ["Authorization: Bearer " . getenv("ROLLBOOK_SECRET_KEY"), "Content-Type: application/json"];
    if ($key !== null) {
        $headers[] = "Idempotency-Key: $key";
    }
    $options = ["method" => $method, "header" => $headers, "timeout" => 10, "ignore_errors" => true];
    if ($body !== null) {
        $options["content"] = json_encode($body, JSON_THROW_ON_ERROR);
    }
    for ($attempt = 1; ; $attempt++) {
        $http_response_header = [];
        $text = @file_get_contents(getenv("ROLLBOOK_SERVER_URL") . $path, false, stream_context_create(["http" => $options]));
        $status = (int) (explode(" ", $http_response_header[0] ?? "HTTP/1.1 503")[1]);
        if ($status !== 503 || $attempt === 5) {
            break;
        }
        $after = preg_grep("/^retry-after:/i", $http_response_header);
        sleep($after ? (int) explode(":", reset($after))[1] : 1);
    }
    if ($status >= 400) {
        throw new RuntimeException("$status: $text");
    }
    return $text === "" ? null : json_decode($text, true, flags: JSON_THROW_ON_ERROR);
}

$ann = ["name" => "Ann", "plan" => "pro"];
call("PUT", "/v1/users/ann", $ann, "signup-ann");
call("PUT", "/v1/users/ann", $ann, "signup-ann"); // sent again: nothing happens twice
call("POST", "/v1/workflows/welcome/trigger", ["recipients" => ["ann"], "data" => ["page" => 7]], "welcome-ann");
$feed = call("GET", "/v1/users/ann/feeds/in_app");
echo $feed["meta"]["unread_count"], " ", $feed["entries"][0]["data"]["page"], "\n";
